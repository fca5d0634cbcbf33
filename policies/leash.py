"""Runs a command that must not outlive whoever started it: `python leash.py COMMAND...`, a pipe on standard input.

A gateway killed with -9 cannot stop its engine, and an orphan would keep the GPU's memory. The kernel closes the pipe
when the gateway dies, however it dies; then the whole process group goes. That works alike on Linux and macOS, which
has no PR_SET_PDEATHSIG, and needs no code between fork and exec in a threaded parent.

Must be the leader of a process group of its own. Standard library only: it runs isolated, outside the package.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence


def _hold() -> None:
    """Wait for the end of the pipe; nothing is ever written to it."""
    os.read(0, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(argv: Sequence[str]) -> int:
    """Run `argv` to its end; its exit code, or 128 + the signal that ended it."""
    # The group's SIGTERM is for the engine; leaving before it does would hide that it still runs.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)  # noqa: S603 - the command line is the gateway's own
    threading.Thread(target=_hold, daemon=True).start()
    code = child.wait()
    os.killpg(os.getpgrp(), signal.SIGTERM)  # whatever the engine itself started and left behind
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # Not sys.exit: it would wait for the thread's read on some platforms.
    os._exit(main(sys.argv[1:]))
