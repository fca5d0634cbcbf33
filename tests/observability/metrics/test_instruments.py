"""Counters and histograms count what a naive list would say, and never hold more series than they may."""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.metrics.catalogue import CATALOGUE, OTHER, REQUESTS, SERVER_DURATION
from observability.metrics.instruments import Counter, Histogram, Mark, bounded
from observability.metrics.snapshot import Exemplar, Family, Kind, Point

COUNTS = Family("x.count", Kind.COUNTER, "{x}", "Things.", ("kind", "who"))
TIMES = Family("x.time", Kind.HISTOGRAM, "s", "Times.", ("kind",), (0.1, 1.0, 10.0))
STATES = Family("x.state", Kind.GAUGE, "{x}", "States.", ("who",))
LABELS = st.tuples(st.text(max_size=3), st.sampled_from("abc"))
VALUES = st.one_of(st.sampled_from([0.0, 0.1, 1.0, 10.0]), st.floats(0, 1e6))


def naive(values: list[float], bounds: tuple[float, ...]) -> list[int]:
    """How many values each bucket holds: those of at most its bound that no earlier one holds."""
    edges = [*bounds, float("inf")]
    below = [sum(value <= edge for value in values) for edge in edges]
    return [here - before for here, before in zip(below, [0, *below], strict=False)]


@given(st.lists(VALUES, max_size=50), st.lists(st.floats(0.001, 1e5), min_size=1, max_size=20, unique=True))
def test_a_histogram_counts_as_a_list_would(values: list[float], bounds: list[float]) -> None:
    family = Family("x.time", Kind.HISTOGRAM, "s", "Times.", (), tuple(sorted(bounds)))
    histogram = Histogram(family)
    for value in values:
        histogram.observe((), value)
    points = histogram.points()
    assert len(points) == bool(values)
    for point in points:
        assert list(point.buckets) == naive(values, family.bounds)
        assert point.count == len(values)
        assert point.value == pytest.approx(sum(values))
        assert point.exemplars == ()


@given(st.lists(st.tuples(LABELS, st.integers(0, 1000)), max_size=50))
def test_a_counter_adds_up_per_series(added: list[tuple[tuple[str, str], int]]) -> None:
    counter = Counter(COUNTS)
    sums: dict[tuple[str, ...], int] = {}
    for labels, amount in added:
        counter.add(labels, amount)
        sums[labels] = sums.get(labels, 0) + amount
    assert {point.labels: point.value for point in counter.points()} == sums


@given(st.lists(st.text(max_size=4), max_size=60), st.integers(1, 10))
def test_beyond_the_cap_all_falls_into_one_series_and_nothing_is_lost(names: list[str], most: int) -> None:
    counter, histogram = Counter(COUNTS, most), Histogram(TIMES, most)
    for name in names:
        counter.add((name, "a"))
        histogram.observe((name,), 0.5)
    distinct = len(set(names))
    for points, total in (
        (counter.points(), sum(point.value for point in counter.points())),
        (histogram.points(), sum(point.count for point in histogram.points())),
    ):
        assert len(points) == min(distinct, most + 1)
        assert total == len(names)
        assert any(set(point.labels) == {OTHER} for point in points) is (distinct > most)
    assert (counter.dropped > 0) is (histogram.dropped > 0) is (distinct > most)


def test_an_update_of_a_series_that_is_there_is_never_dropped() -> None:
    counter = Counter(COUNTS, 1)
    for labels in (("a", "x"), ("b", "x"), ("a", "x")):
        counter.add(labels)
    assert [(point.labels, point.value) for point in counter.points()] == [(("a", "x"), 2), ((OTHER, OTHER), 1)]
    assert counter.dropped == 1


def test_the_newest_sampled_trace_of_each_bucket_is_kept() -> None:
    histogram = Histogram(TIMES)
    histogram.observe(("a",), 0.05)
    assert histogram.points()[0].exemplars == ()
    for value, trace in ((0.5, "one"), (0.6, "two"), (99.0, "three")):
        histogram.observe(("a",), value, Mark(7.0, trace, "span"))
    assert histogram.points()[0].exemplars == (
        None,
        Exemplar(0.6, 7.0, "two", "span"),
        None,
        Exemplar(99.0, 7.0, "three", "span"),
    )


@pytest.mark.parametrize("series", range(1, 20))  # CPython's lists of free tuples are for these lengths
def test_reading_for_ever_takes_no_memory(series: int) -> None:
    counter, histogram = Counter(COUNTS), Histogram(TIMES)
    long = Histogram(Family("x.long", Kind.HISTOGRAM, "s", "Times.", (), tuple(float(at) for at in range(1, series))))
    long.observe((), 0.5, Mark(0.0, "a" * 32))
    for number in range(series):
        counter.add((str(number), "a"))
        histogram.observe((str(number),), 0.5)
    read = {(str(number), "a"): 1.0 for number in range(series)}

    def taken() -> int:
        for _ in range(100):
            for points in (counter.points(), histogram.points(), long.points(), bounded(COUNTS, read.items())):
                assert points
        return sys.getallocatedblocks()

    gc.collect()  # which empties those lists
    gc.disable()
    try:
        before = taken()
        assert taken() - before < 50
    finally:
        gc.enable()


def test_what_is_declared_is_there_at_zero() -> None:
    counter, histogram = Counter(COUNTS), Histogram(TIMES)
    for _ in range(2):
        counter.declare(("a", "b"))
        histogram.declare(("a",))
    assert counter.points() == (Point(("a", "b"), 0),)
    assert histogram.points() == (Point(("a",), 0.0, (0, 0, 0, 0)),)


def test_what_is_read_is_bounded_too() -> None:
    read = [((str(number),), float(number)) for number in range(5)]
    points = bounded(STATES, read, 3)
    assert {point.labels[0]: point.value for point in points} == {"0": 0, "1": 1, "2": 2, OTHER: 7}


def test_labels_that_do_not_fit_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="2 labels"):
        Counter(COUNTS).add(("a",))
    with pytest.raises(ValueError, match="1 labels"):
        Histogram(TIMES).observe((), 1)
    with pytest.raises(ValueError, match="no counter"):
        Counter(TIMES)
    with pytest.raises(ValueError, match="no histogram"):
        Histogram(COUNTS)


@pytest.mark.parametrize("family", CATALOGUE, ids=lambda family: family.name)
def test_the_catalogue_is_well_formed(family: Family) -> None:
    assert list(family.bounds) == sorted(set(family.bounds))
    assert bool(family.bounds) is (family.kind is Kind.HISTOGRAM)
    assert len(set(family.labels)) == len(family.labels)
    assert family.help.endswith(".")
    assert "\n" not in family.help


def test_no_name_stands_twice() -> None:
    assert len({family.name for family in CATALOGUE}) == len(CATALOGUE)


def test_a_family_that_callers_have_filled_still_tells_one_failure_from_another() -> None:
    counter, histogram = Counter(REQUESTS, 40), Histogram(SERVER_DURATION, 40)
    for number in range(1_000):
        counter.add(("lan", f"ann{number}", "openai", "chat", "", "tiny", "429", "limit_exceeded"))
        histogram.observe(("chat", "", f"m{number}", "tiny", ""), 0.5)
    for _ in range(7):
        counter.add(("lan", "bob", "openai", "chat", "", "tiny", "502", "engine_broke"))
        histogram.observe(("chat", "vllm", "m", "tiny", "engine_broke"), 0.5)
    found = {point.labels: point.value for point in counter.points()}
    assert found["lan", OTHER, "openai", "chat", "", OTHER, "502", "engine_broke"] == 7
    assert found["lan", OTHER, "openai", "chat", "", OTHER, "429", "limit_exceeded"] == 960
    times = {point.labels: point.count for point in histogram.points()}
    assert times["chat", "vllm", OTHER, OTHER, "engine_broke"] == 7
    assert sum(times.values()) == 1_007


def test_series_without_who_and_which_model_have_a_bound_as_well() -> None:
    counter = Counter(REQUESTS, 40)
    for number in range(1_000):
        counter.add(("lan", "ann", "openai", "chat", "", "tiny", "200", f"reason{number}"))
    found = {point.labels: point.value for point in counter.points()}
    assert len(found) == 51
    assert found[(OTHER,) * 8] == 950
    counter.add(("lan", "ann", "openai", "chat", "", "tiny", "200", "reason40"))
    assert {point.labels: point.value for point in counter.points()}[
        "lan", OTHER, "openai", "chat", "", OTHER, "200", "reason40"
    ] == 2
