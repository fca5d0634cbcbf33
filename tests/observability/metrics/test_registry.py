"""The registry hands out each metric once, reads states when asked, and lets no reader break the others."""

from __future__ import annotations

import logging

import pytest

from observability.metrics import catalogue as names
from observability.metrics.catalogue import CATALOGUE
from observability.metrics.registry import Reading, Registry
from observability.metrics.snapshot import Family, Kind, Point


def found(registry: Registry) -> dict[str, tuple[Point, ...]]:
    return {snapshot.family.name: snapshot.points for snapshot in registry.snapshots()}


def test_states_are_read_each_time_and_events_are_kept() -> None:
    depth = [3.0]
    registry = Registry(lambda: 5.0)
    registry.counter(names.LOADS).add(("e", "m"))
    registry.read(names.QUEUE_DEPTH, lambda: [(("e",), depth[0])])
    assert found(registry)[names.QUEUE_DEPTH.name] == (Point(("e",), 3.0),)
    depth[0] = 1.0
    assert found(registry)[names.QUEUE_DEPTH.name] == (Point(("e",), 1.0),)
    assert found(registry)[names.LOADS.name] == (Point(("e", "m"), 1),)


def test_a_snapshot_says_since_when_and_until_when() -> None:
    now = iter([10.0, 20.0, 30.0])
    registry = Registry(lambda: next(now))
    _ = registry.counter(names.LOADS)
    times = [(snapshot.started, snapshot.at) for snapshot in registry.snapshots()]
    assert times[0] == (10.0, 20.0)


def test_families_come_in_the_order_of_the_catalogue() -> None:
    registry = Registry(lambda: 0.0)
    for family in reversed(CATALOGUE):
        if family.kind is Kind.COUNTER and family is not names.SERIES_DROPPED:
            _ = registry.counter(family)
    order = [snapshot.family for snapshot in registry.snapshots()]
    assert order == [family for family in CATALOGUE if family.kind is Kind.COUNTER]


def test_a_family_has_one_owner() -> None:
    registry = Registry(lambda: 0.0)
    _ = registry.counter(names.LOADS)
    registry.read(names.QUEUE_DEPTH, list)
    with pytest.raises(ValueError, match="already"):
        registry.counter(names.LOADS)
    with pytest.raises(ValueError, match="already"):
        registry.read(names.QUEUE_DEPTH, list)
    with pytest.raises(ValueError, match="catalogue"):
        registry.counter(Family("x", Kind.COUNTER, "s", "Unknown."))


def test_a_reader_that_fails_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Reading:
        raise RuntimeError("away")

    registry = Registry(lambda: 0.0)
    registry.read(names.QUEUE_DEPTH, broken)
    registry.read(names.QUEUE_SLOTS, lambda: [(("e",), 1)])
    with caplog.at_level(logging.ERROR):
        seen = found(registry)
    assert (seen[names.QUEUE_DEPTH.name], seen[names.QUEUE_SLOTS.name]) == ((), (Point(("e",), 1),))
    assert names.QUEUE_DEPTH.name in caplog.text


def test_updates_without_a_series_of_their_own_are_counted_by_family() -> None:
    registry = Registry(lambda: 0.0, most=1)
    counter = registry.counter(names.LOADS)
    for model in ("a", "b", "c"):
        counter.add(("e", model))
    assert found(registry)[names.SERIES_DROPPED.name] == (Point((names.LOADS.name,), 2.0),)
