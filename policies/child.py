"""Child processes that never outlive us and never keep us waiting: engines of models, and engines of policy."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from policies import leash


class Child:
    """One running process, the leader of a group of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, leashed: bool) -> Child:
        """Run `argv`; what it prints goes to `log`, readable by us only, which starts empty.

        `leashed` puts `leash.py` in between, for programs that do not themselves end when their standard input does.
        OSError if it cannot be started.
        """
        holder = (sys.executable, "-I", leash.__file__) if leashed else ()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *(*holder, *argv),
                stdin=asyncio.subprocess.PIPE,
                stdout=descriptor,
                stderr=descriptor,
                env=dict(environment),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(process)

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.returncode

    async def wait(self) -> None:
        """Until it has ended, however."""
        await self._process.wait()

    def kill(self) -> None:
        """End it and everything it started, now."""
        _signal(self._process.pid, signal.SIGKILL)

    async def stop(self, within: float) -> None:
        """End it and everything it started: SIGTERM, then SIGKILL after so many seconds."""
        _signal(self._process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()  # the leash pulls if it is still there, as after a cancellation


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
