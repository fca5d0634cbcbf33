"""A request leaves nothing behind that only the garbage collector can free: what it held, its body above all, goes when
it ends, and the collector has next to nothing to do."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from itertools import islice
from pathlib import Path

from tests.budget.counter import garbage
from tests.budget.measuring import stage
from tests.budget.plays import PLAYS, leave

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
                found = played.counting.garbage()
            assert {name: count for name, (count, _) in found.items() if count >= _TIMES} == {}, workload


def test_nor_does_one_whose_caller_left(tmp_path: Path) -> None:
    with stage(tmp_path) as played:
        for turn in range(_WARM_UP + _TIMES):
            if turn == _WARM_UP:
                played.counting.garbage()
            leave(played)
            played.counting.settle()
        found = played.counting.garbage()
        assert not {"builtins.frame", "policies.exchange.Exchange", "policies.call.Call"} & found.keys(), found
