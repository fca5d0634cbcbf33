"""How many models are fetched at once."""

from __future__ import annotations

import pytest

from edge.stock.pulls import FULL, Pulls
from edge.stock.settings import PullSettings
from policies.errors import Refusal
from policies.reasons import Reason


def refused(pulls: Pulls, model: str, key: str | None) -> str | None:
    """The hint of the refusal."""
    with pytest.raises(Refusal) as error, pulls.take(model, key):
        raise AssertionError("let in")
    assert error.value.reason is Reason.CONCURRENCY_EXCEEDED
    return error.value.hint


def test_each_caller_has_a_share_of_what_all_may() -> None:
    pulls = Pulls(PullSettings(at_once=2, per_caller=1))
    with pulls.take("a", "ann"):
        assert refused(pulls, "b", "ann") is None
        with pulls.take("b", "bob"):
            assert refused(pulls, "c", "cat") == FULL
            assert refused(pulls, "c", None) == FULL
        with pulls.take("c", "cat"):
            assert pulls.fetches("c")
    assert not any(map(pulls.fetches, "abc"))


def test_admins_have_no_share_of_their_own() -> None:
    pulls = Pulls(PullSettings(at_once=3, per_caller=1))
    with pulls.take("a"), pulls.take("b"), pulls.take("b", "ann"):
        assert refused(pulls, "c", "bob") == FULL


def test_one_model_can_be_asked_for_twice() -> None:
    pulls = Pulls()
    with pulls.take("a", "ann"):
        with pulls.take("a", "bob"):
            pass
        assert pulls.fetches("a")


def test_what_fails_gives_its_place_back() -> None:
    pulls = Pulls()
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), pulls.take("a", "ann"):
            raise ZeroDivisionError
    assert not pulls.fetches("a")
    with pulls.take("a", "ann"):
        pass
