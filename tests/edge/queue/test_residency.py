"""What an engine has loaded, as its answers tell."""

from __future__ import annotations

import math

from edge.queue.residency import UNLOADED_AFTER, Residency


def serve(models: Residency, model: str, now: float) -> bool:
    loads = models.take(model, now)
    models.began(model, now)
    models.give(model, now)
    return loads


def test_an_engine_that_never_swaps_has_everything() -> None:
    models = Residency(None)
    assert not models.swaps
    assert models.ready("a", 0)
    assert not serve(models, "a", 0)
    assert models.may_load()
    assert models.has_room(0)


def test_what_answered_is_loaded_and_what_was_not_used_longest_makes_room() -> None:
    models = Residency(2)
    assert [serve(models, model, now) for now, model in enumerate("abacab")] == [True, True, False, True, False, True]
    assert [models.ready(model, 6) for model in "abc"] == [True, True, False]


def test_one_load_at_a_time_and_none_that_would_end_an_answer() -> None:
    models = Residency(2)
    assert models.take("a", 0)
    assert not models.ready("a", 0), "its load is under way"
    assert not models.may_load()
    models.began("a", 1)
    assert models.ready("a", 1)
    assert models.may_load()
    assert models.take("b", 1)
    models.began("b", 2)
    assert not models.may_load(), "both are answering"
    models.give("a", 3)
    assert models.may_load()
    assert not models.has_room(3)
    assert models.take("c", 3)
    assert models.ready("b", 3)
    assert not models.ready("a", 3)


def test_a_failed_load_leaves_nothing_loaded_and_the_next_one_tries_again() -> None:
    models = Residency(1)
    assert models.take("a", 0)
    models.failed("a")
    models.give("a", 1)
    assert not models.ready("a", 1)
    assert models.take("a", 1)


def test_a_model_that_nobody_used_for_long_is_no_longer_taken_for_loaded() -> None:
    models = Residency(3)
    _ = serve(models, "a", 0)
    assert models.ready("a", UNLOADED_AFTER - 1)
    assert not models.ready("a", UNLOADED_AFTER)
    assert not models.take("b", 1) or models.loading == "b"
    assert models.has_room(UNLOADED_AFTER)


def test_for_how_long_a_model_stays() -> None:
    assert Residency(None).left("a", 0) == math.inf
    models = Residency(2)
    assert models.left("a", 0) == 0.0
    assert models.take("a", 0)
    assert models.left("a", 1) == 0.0, "its load is under way"
    models.began("a", 1)
    assert models.left("a", 500) == UNLOADED_AFTER, "it is answering"
    models.give("a", 500)
    assert models.left("a", 510) == UNLOADED_AFTER - 10
    assert models.left("a", 500 + UNLOADED_AFTER) == 0.0
