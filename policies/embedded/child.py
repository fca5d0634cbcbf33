"""One scratch child as its parent sees it: lines to it, lines from it, and what it died of, in words for people."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import orjson

from policies.embedded.findings import ScratchLimits
from policies.json import JSON, Object, as_list, as_str

_ROOT: Final = Path(__file__).parents[2]
_MAX_LINE: Final = 32 << 20
_OUT_OF_MEMORY: Final = 71
_MIB: Final = 1 << 20


class ChildDied(Exception):
    """The child is gone; the text says why."""


class Child:
    """A running scratch child, in a process group of its own. Always `close` it."""

    def __init__(self, process: asyncio.subprocess.Process, limits: ScratchLimits) -> None:
        self._process = process
        self._limits = limits

    @classmethod
    async def start(cls, limits: ScratchLimits, *, cpu: bool) -> Self:
        """`cpu`: whether `limits.seconds` also bounds its CPU time in all. ChildDied if it cannot be started."""
        bound = ["--cpu-seconds", f"{limits.seconds:g}"] if cpu else []
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "policies.embedded", "scratch", "--memory-bytes", str(limits.memory_bytes)),
                *bound,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=_ROOT,
                env={"PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
                limit=_MAX_LINE,
            )
        except OSError as error:
            raise ChildDied(f"could not be started: {error}") from None
        return cls(process, limits)

    def send(self, line: bytes) -> None:
        """Queue one line; that the child is gone shows when it is listened to."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line + b"\n")

    def ask(self, what: str, **parts: JSON) -> None:
        """Queue a job."""
        job: Object = {"do": what, "decision_seconds": self._limits.decision_seconds, **parts}
        self.send(orjson.dumps(job))

    async def hear(self) -> tuple[str, JSON]:
        """The next (kind, value) from the child. ChildDied."""
        if self._process.stdout is None:
            raise ChildDied("has no output")
        try:
            line = await self._process.stdout.readline()
        except ValueError:
            raise ChildDied("said too much") from None
        if not line.endswith(b"\n"):
            raise ChildDied(_cause(await self._process.wait(), self._limits))
        kind, value = as_list(orjson.loads(line))
        return as_str(kind), value

    async def close(self) -> None:
        """End it, with whatever it started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


def _cause(code: int, limits: ScratchLimits) -> str:
    memory = f"ran out of memory ({limits.memory_bytes // _MIB} MiB)"
    causes = {
        -signal.SIGPROF: f"took longer than {limits.decision_seconds:g} s",
        -signal.SIGXCPU: f"used more than {limits.seconds:g} s of CPU time",
        -signal.SIGKILL: "was killed: out of CPU time or memory",
        -signal.SIGSEGV: "recursed without end",
        -signal.SIGBUS: "recursed without end",
        -signal.SIGABRT: memory,
        _OUT_OF_MEMORY: memory,
    }
    return causes.get(code, f"made the engine fail (exit code {code})")
