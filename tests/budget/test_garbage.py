"""A request leaves nothing behind that only the garbage collector can free: what it held, its body above all, goes when
it ends, and the collector has next to nothing to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from tests.budget.counter import garbage
from tests.budget.measuring import stage
from tests.budget.plays import PLAYS, Stage, anew, cut_off, leave, unanswered, unread

_WARM_UP = 4
_TIMES = 10
"""Fewer objects of a type are nobody's: a connection that ended before leaves its coroutine."""


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.other = self


def test_what_refers_to_itself_is_found() -> None:
    name = f"{Ring.__module__}.{Ring.__qualname__}"
    Ring()
    assert garbage()[name] == [1, 0]
    assert name not in garbage()


def test_a_request_leaves_no_garbage(tmp_path: Path) -> None:
    with stage(tmp_path) as played:
        for workload, play in PLAYS.items():
            with closing(play(played)) as readings:
                deque(islice(readings, _WARM_UP), 0)
                played.counting.garbage()
                deque(islice(readings, _TIMES), 0)
                assert _left(played) == {}, workload


@pytest.mark.parametrize("play", [leave, anew, unread, cut_off, unanswered])
def test_nor_does_one_that_ends_with_a_connection(tmp_path: Path, play: Callable[[Stage], None]) -> None:
    with stage(tmp_path) as played:
        for turn in range(_WARM_UP + _TIMES):
            if turn == _WARM_UP:
                played.counting.garbage()
            play(played)
            played.counting.settle()
        assert _left(played) == {}


def _left(played: Stage) -> dict[str, int]:
    """The types of which there is at least an object for each time."""
    return {name: count for name, (count, _) in played.counting.garbage().items() if count >= _TIMES}
