"""py-spy, which looks at a process that runs Python from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from tests.benchmarks.cores import Place, placed

_PATIENCE: Final = 60.0


class Look:
    """Looks at process `pid` from `begin` to `end`, `rate` times a second and for `seconds` at the most, and writes
    `target`. Each look stops the process for some two milliseconds. (`--nonblocking` does not, but reads stacks while
    they change: a quarter of the looks failed, and functions came out that had long returned.)"""

    def __init__(self, pid: int, target: Path, *options: str, rate: int, seconds: float) -> None:
        self._options = ("--pid", str(pid), "--output", str(target), "--rate", str(rate), "--function", *options)
        self._seconds = max(1, round(seconds))
        self._process: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        """Start to look; what is wrong is said by `end`."""
        spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if spy is None:
            return
        with placed(Place.LOAD):
            self._process = subprocess.Popen(
                (spy, "record", *self._options, "--duration", str(self._seconds)),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )

    def end(self) -> str:
        """Stop; "" once the target is there, else why it is not, in a line."""
        if self._process is None:
            return "py-spy is missing: make installs it into .venv"
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=_PATIENCE)
        if not self._process.returncode:
            return ""
        reason = next((line for line in said.splitlines() if line.strip()), "no reason given").removeprefix("Error: ")
        return f"py-spy saw nothing: {reason} (to look into another process it may have to be root)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            with self._process:
                pass
