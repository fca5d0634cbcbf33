"""The counter says what was executed, the same each time, and where."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from observability.ids import new_id
from tests.budget.counter import CALLER, THREAD, Counter


def _counted(work: Callable[[], object], *, on: bool = True) -> dict[str, list[int]]:
    """What `work` does in a thread that is watched from its beginning."""
    counter = Counter()

    def watched() -> None:
        counter.watch()
        counter.on = on
        work()
        counter.on = False

    thread = threading.Thread(target=watched)
    thread.start()
    thread.join()
    return {name: cell for name, cell in counter.functions.items() if ":_loop" in name or ":_walk" in name}


def _loop(turns: int) -> int:
    return sum([abs(turn) for turn in range(turns)])


def _walk(steps: int) -> None:
    if steps:
        _walk(steps - 1)


def test_the_same_work_has_the_same_count() -> None:
    assert _counted(partial(_loop, 100)) == _counted(partial(_loop, 100))


def test_each_turn_of_a_loop_counts() -> None:
    one, ten, hundred = (sum(cell[0] for cell in _counted(partial(_loop, turns)).values()) for turns in (1, 10, 100))
    assert hundred - ten == 10 * (ten - one) > 0


def test_calls_of_functions_in_c_count() -> None:
    one, ten = (sum(cell[1] for cell in _counted(partial(_loop, turns)).values()) for turns in (1, 10))
    assert ten - one == 9  # abs


def test_a_function_is_known_by_its_file_and_name() -> None:
    (name,) = _counted(partial(_walk, 5))
    assert name == f"tests/budget/test_counter.py:_walk {THREAD}"


def test_a_function_that_is_not_ours_is_also_known_by_the_file_of_ours_that_it_works_for() -> None:
    def walked(size: int) -> bytes:
        _walk(2)
        return bytes(size)

    (name,) = _counted(partial(new_id, walked))
    assert name == f"tests/budget/test_counter.py:_walk{CALLER}observability/ids.py {THREAD}"


def test_nothing_is_counted_before_it_begins() -> None:
    assert _counted(partial(_loop, 10), on=False) == {}
