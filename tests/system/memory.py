"""What a process and its children take of the memory."""

from __future__ import annotations

from contextlib import suppress

import psutil


def resident(pid: int) -> int:
    """Bytes: all that the process has in memory, and what its children have to themselves. A library that several of
    them use is there once, so it counts once. psutil.NoSuchProcess if it is gone."""
    process = psutil.Process(pid)
    total: int = process.memory_info().rss
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += _own(child)
    return total


def _own(process: psutil.Process) -> int:
    size: int
    try:
        size = process.memory_full_info().uss
    except psutil.AccessDenied:  # macOS
        size = process.memory_info().rss
    return size
