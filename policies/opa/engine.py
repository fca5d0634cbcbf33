"""A policy engine that is a child of ours: started for one bundle, asked over a UNIX socket, started again if it dies.

Its death or silence is a no for whoever asks meanwhile, and never an outage of the door.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from policies.bundle import Bundle
from policies.child import Child
from policies.engine import PolicyEngineDown
from policies.json import JSON
from policies.opa.api import DataApi, Place
from policies.opa.asked import Asked
from policies.opa.programs import Program

READY_WITHIN: Final = 15.0
STOP_WITHIN: Final = 1.0
_POLL: Final = 0.01
_HEALTH: Final = 0.5
_SILENT: Final = 3
"""So many decisions in a row without an answer, and it is asked whether it is well."""
_STEADY: Final = 5.0
_LONGEST_PAUSE: Final = 5.0
_LOG: Final = "engine.log"
_PREFIX: Final = "llmgw-"
_LONG: Final = 50
_LOG_SHOWN: Final = 1_000


class ChildEngine:
    """Evaluates one bundle in a child. `start` it, keep `run` going in a task, `close` it."""

    def __init__(self, program: Program, bundle: Bundle, *, timeout: float) -> None:
        """`timeout`: seconds that one decision may take, waiting for a restart included."""
        self.kind: Final = program.kind
        self.revision: Final = bundle.revision
        self._program = program
        self._timeout = timeout
        # Short: a socket's path has at most 104 characters on macOS. Ours alone: whoever can write here decides.
        _sweep()
        self.folder: Final = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_place()))
        self._address = self.folder / "s"
        self._bundle_file = self.folder / program.bundle_file
        self._packed = program.pack(bundle)
        self._child: Child | None = None
        self._api: DataApi | None = None
        self._ready = asyncio.Event()
        self._asked = Asked()
        self._silent = 0
        self._closed = False
        self.restarts = 0

    async def start(self) -> None:
        """Start it and wait until it answers. PolicyEngineDown, with the end of what it printed, if it does not."""
        try:
            self._bundle_file.write_bytes(self._packed)
            await self._launch()
        except OSError as error:
            await self.close()
            raise PolicyEngineDown(f"{self.kind} cannot be started: {error}") from None
        except BaseException:
            await self.close()
            raise

    async def run(self) -> None:
        """Start it again whenever it ends, at once the first time, with growing pauses while it keeps ending."""
        loop, pause = asyncio.get_running_loop(), 0.0
        while not self._closed:
            born = loop.time()
            if self._child is not None:
                await self._child.wait()
            if self._closed:
                return
            self._ready.clear()
            pause = 0.0 if loop.time() - born > _STEADY else min(pause * 2 + 0.05, _LONGEST_PAUSE)
            await asyncio.sleep(pause)
            await self._again()

    async def evaluate(self, document: bytes) -> JSON:
        """The decision's value for the input `document`. PolicyEngineDown or PolicyFault."""
        with self._asked:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._ready.wait()
                    if self._api is None:
                        raise PolicyEngineDown("closed")
                    result = await self._api.evaluate(document)
            except TimeoutError:
                await self._unheard()
                raise PolicyEngineDown(f"no answer within {self._timeout:g} s") from None
        self._silent = 0
        return result

    @property
    def ready(self) -> bool:
        """Whether it answers, as far as is known."""
        return self._ready.is_set() and not self._closed

    @property
    def under_way(self) -> int:
        """Questions that wait for their answers."""
        return self._asked.count

    async def retire(self) -> None:
        """`close` it once the questions under way are answered."""
        await self._asked.over(self._timeout + _HEALTH)
        await self.close()

    async def close(self) -> None:
        """End it; whoever still waits for an answer gets PolicyEngineDown. Once more, if it was cancelled half way."""
        self._closed = True
        api, self._api = self._api, None
        self._ready.set()
        if api is not None:
            await api.close()
        if self._child is not None:
            await self._child.stop(STOP_WITHIN)
            self._child = None
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _again(self) -> None:
        self.restarts += 1
        try:
            await self._launch()
        except (OSError, PolicyEngineDown):
            if self._child is not None:
                self._child.kill()

    async def _launch(self) -> None:
        self._address.unlink(missing_ok=True)
        program = self._program
        child = self._child = await Child.start(
            program.argv(self._address, self._bundle_file),
            environment=program.environment,
            log=self.folder / _LOG,
            leashed=program.leashed,
        )
        if self._api is None:
            self._api = DataApi(Place(f"unix://{self._address}"), timeout=None)
        try:
            async with asyncio.timeout(READY_WITHIN):
                await self._until_well(child, self._api)
        except TimeoutError:
            raise PolicyEngineDown(f"{self.kind} was not ready within {READY_WITHIN:g} s") from None
        self._silent = 0
        self._ready.set()

    async def _until_well(self, child: Child, api: DataApi) -> None:
        while not (self._address.exists() and await api.healthy(_HEALTH)):
            if child.code is not None:
                raise PolicyEngineDown(f"{self.kind} ended with code {child.code}: {self._said()}")
            await asyncio.sleep(_POLL)

    async def _unheard(self) -> None:
        """A silent child that is not well either is ended, so that `run` starts it again.

        A stopped or spinning process does not answer for its health; one that merely works through a queue does.
        """
        self._silent += 1
        child, api = self._child, self._api
        if self._silent < _SILENT or child is None or api is None or not self._ready.is_set():
            return
        self._silent = 0
        if not await api.healthy(_HEALTH) and child is self._child and self._ready.is_set():
            self._ready.clear()
            child.kill()

    def _said(self) -> str:
        try:
            text = (self.folder / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return " ".join(text[-_LOG_SHOWN:].split())


def _place() -> str:
    """Where temporary folders are; `/tmp` where that is too long for a socket, as on macOS."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(usual) > _LONG and Path("/tmp").is_dir() else usual  # noqa: S108 - mkdtemp makes it ours alone


def _sweep() -> None:
    """Remove what gateways of ours that were killed left behind: a policy's text, and a socket nobody listens on."""
    for folder in Path(_place()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not owner.isdigit() or _alive(int(owner)) or _answered(folder / "s"):
            continue
        with suppress(OSError):
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def _answered(address: Path) -> bool:
    """Whether somebody listens there: a process id may mean another process in another container."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_HEALTH)
        try:
            probe.connect(str(address))
        except OSError:
            return False
        return True


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
