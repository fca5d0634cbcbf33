"""What `/metrics` writes is read by Prometheus' own Python parsers, and found good by promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_classic

from observability.metrics.catalogue import CATALOGUE
from observability.metrics.exposition import BLOCK, CLASSIC, END, OPENMETRICS, Format, blocks, wanted
from observability.metrics.naming import base_name, sample_name
from observability.metrics.snapshot import Exemplar, Family, FamilySnapshot, Kind, Point

TIMES = Family("x.time", Kind.HISTOGRAM, "s", 'Times, with a \\ and "quotes".', ("gen_ai.kind",), (0.1, 1.0, 65536.0))
COUNTS = Family("x.count", Kind.COUNTER, "{x}", "Things.", ("kind", "who"))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TRACE = "ab" * 16


def text(form: Format, *snapshots: FamilySnapshot) -> str:
    return "".join(block for each in snapshots for block in blocks(each, form)) + (END if form.open else "")


def snapshot(family: Family, points: Sequence[Point]) -> FamilySnapshot:
    return FamilySnapshot(family, tuple(points), 1.0, 2.0)


@given(st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(0, 1e15), max_size=5))
def test_counters_come_back_as_they_went(series: dict[tuple[str, str], float]) -> None:
    points = [Point(labels, value) for labels, value in series.items()]
    expected = {(labels[0], labels[1]): value for labels, value in series.items()}
    for form, read in ((OPENMETRICS, read_openmetrics), (CLASSIC, read_classic)):
        (family,) = read(text(form, snapshot(COUNTS, points)))
        assert (family.name, family.type, family.documentation) == ("x_count", "counter", "Things.")
        assert {(s.labels.get("kind", ""), s.labels.get("who", "")): s.value for s in family.samples} == expected
        assert {sample.name for sample in family.samples} <= {"x_count_total"}


@given(TEXTS, st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.floats(0, 1e12))
def test_histograms_come_back_as_they_went(label: str, buckets: list[int], total: float) -> None:
    exemplars = (None, Exemplar(0.5, 1700000000.125, TRACE, "cd" * 8), None, Exemplar(1e6, 3.0, TRACE))
    point = Point((label,), total, tuple(buckets), exemplars)
    (family,) = read_openmetrics(text(OPENMETRICS, snapshot(TIMES, [point])))
    assert (family.name, family.type, family.unit) == ("x_time_seconds", "histogram", "seconds")
    assert family.documentation == TIMES.help
    found = {sample.labels.get("le", sample.name): sample for sample in family.samples}
    added = [sum(buckets[: number + 1]) for number in range(4)]
    assert [found[le].value for le in ("0.1", "1.0", "65536.0", "+Inf")] == added
    assert found["x_time_seconds_count"].value == added[-1]
    assert found["x_time_seconds_sum"].value == pytest.approx(total)
    assert {sample.labels.get("gen_ai_kind", "") for sample in family.samples} == {label}
    example = found["1.0"].exemplar
    assert example is not None
    assert (example.labels, example.value) == ({"trace_id": TRACE, "span_id": "cd" * 8}, 0.5)
    assert float(example.timestamp) == 1700000000.125
    assert found["0.1"].exemplar is None
    other = found["+Inf"].exemplar
    assert other is not None
    assert other.labels == {"trace_id": TRACE}


def sample_of(family: Family) -> FamilySnapshot:
    labels = tuple("v" for _ in family.labels)
    buckets = (1,) * (len(family.bounds) + 1) if family.bounds else ()
    exemplars = tuple(Exemplar(1.0, 2.0, TRACE) for _ in buckets)
    return snapshot(family, [Point(labels, 1.5, buckets, exemplars)])


def test_the_whole_catalogue_parses() -> None:
    whole = [sample_of(family) for family in CATALOGUE]
    families = {family.name: family for family in read_openmetrics(text(OPENMETRICS, *whole))}
    assert set(families) == {base_name(family) for family in CATALOGUE}
    assert all(family.samples for family in families.values())
    classic = text(CLASSIC, *whole)
    assert "trace_id" not in classic
    assert "# EOF" not in classic
    assert {family.name for family in read_classic(classic)} == set(families)


def test_promtool_finds_nothing_to_complain_of() -> None:
    """It checks names and help texts too: units in full, `_total`, no reserved suffix."""
    classic = text(CLASSIC, *map(sample_of, CATALOGUE))
    done = subprocess.run(["promtool", "check", "metrics"], input=classic, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_names_are_those_of_the_conventions_and_of_existing_boards() -> None:
    names = {family.name: sample_name(family) for family in CATALOGUE}
    assert names["gen_ai.server.request.duration"] == "gen_ai_server_request_duration_seconds"
    assert names["gen_ai.client.token.usage"] == "gen_ai_client_token_usage"
    assert names["http.server.request.body.size"] == "http_server_request_body_size_bytes"
    assert names["llm_gateway.tokens"] == "llm_gateway_tokens_total"


def test_many_series_come_in_small_blocks() -> None:
    points = [Point((str(number), ""), number) for number in range(10 * BLOCK)]
    sizes = [block.count("\n") for block in blocks(snapshot(COUNTS, points), CLASSIC)]
    assert max(sizes) <= BLOCK
    assert sum(sizes) == 2 + len(points)


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; Q=0.9, text/plain;q=0.9", OPENMETRICS),
        ("application/openmetrics-text;q=0", CLASSIC),
        ("application/openmetrics-text;q=0.1, text/plain", CLASSIC),
        ("application/openmetrics-text;q=nan", CLASSIC),
        ("application/openmetrics-text;q=x", CLASSIC),
        ("text/html,*/*;q=0.8", CLASSIC),
        ("", CLASSIC),
    ],
)
def test_the_format_is_the_one_that_the_reader_likes_best(accept: str, form: Format) -> None:
    assert wanted(accept) is form
