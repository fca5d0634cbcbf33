"""Limits that a child puts on itself before it touches a policy: memory, CPU time, time per decision, environment.

regorus holds the GIL while it evaluates, so nothing written in Python can interrupt it. The kernel can: an interval
timer whose signal keeps its default action ends the process, whatever it is doing.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MAX_FILES: Final = 256
# Without the first two the first error of a policy walks the stack with debug symbols: 250 ms and 50 MB (facts A3).
# Without the last its allocator (mimalloc) asks for huge pages, and touches 6 MB to use one.
_ENVIRONMENT: Final = {"RUST_BACKTRACE": "0", "RUST_LIB_BACKTRACE": "0", "MIMALLOC_ALLOW_THP": "0"}


def raise_fence(*, memory_bytes: int, cpu_seconds: float | None = None) -> None:
    """Take away what a policy engine does not need; for the rest of this process's life.

    `memory_bytes` of address space: on Linux only, since macOS accepts RLIMIT_AS and does not enforce it.
    """
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
    _lower(resource.RLIMIT_CORE, 0)  # inputs name callers: they do not go to disk
    _lower(resource.RLIMIT_NOFILE, _MAX_FILES)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, memory_bytes)
    if cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, math.ceil(cpu_seconds) + 1)
    # An ignored or blocked SIGPROF is inherited through exec, and would switch the deadline off.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bound, bound))


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """SIGPROF ends this process if the block uses more than so many seconds of CPU.

    Not of time: on a busy machine an honest decision may have to wait for its turn. Whoever asked has a limit of their
    own for that.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def tied_to_parent(descriptor: int) -> bool:
    """Whether the end of `descriptor` tells of the parent's death: a pipe, a socket or a terminal, not /dev/null."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
