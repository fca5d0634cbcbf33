"""Which processors whom: the contender one of its own, and everything that presses it the others.

Figures of a small machine are steadier so, and a contender cannot use the time of the one that measures it. What is
started while `placed` inherits the place (the calling thread's, on Linux); elsewhere, and with one processor, nothing
is placed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Place(Enum):
    """`CONTENDER`: the first processor. `LOAD`: the others. `ANYWHERE`: all, for contenders of several processes."""

    CONTENDER = "contender"
    LOAD = "load"
    ANYWHERE = "anywhere"


def processors() -> int:
    """How many this process may use."""
    return len(_allowed()) or os.cpu_count() or 1


def placing() -> bool:
    """Whether places mean anything here."""
    return len(_allowed()) > 1


@contextmanager
def placed(place: Place) -> Iterator[None]:
    """Start something here, and it runs there."""
    if sys.platform != "linux" or not placing():
        yield
        return
    before = os.sched_getaffinity(0)
    first, *others = sorted(_allowed())
    wanted = {Place.CONTENDER: {first}, Place.LOAD: set(others), Place.ANYWHERE: _allowed()}[place]
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allowed() -> set[int]:
    return set(_ALLOWED)


_ALLOWED = frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset[int]()
