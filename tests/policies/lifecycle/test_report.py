"""The report counts every record once, keeps little, and tells identifiers only to those who may see them."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from policies.engine import PolicyFault
from policies.input import PolicyInput, Wanted
from policies.json import JSON, Object, as_list, as_object
from policies.lifecycle.replay import Kind, Skip
from policies.lifecycle.report import Report, render, report_document
from policies.principal import Principal
from tests.policies.lifecycle.questions import ANN, CHAT, YES, no, record


def by(document: Object, kind: Kind) -> Object:
    return as_object(as_object(as_object(document["flips"])[kind.value])["by"])


def asked_by(name: str, model: str = "qwen3") -> PolicyInput:
    who: Principal = replace(ANN, id=name)
    return replace(CHAT, principal=who, model=Wanted(model, model))


def test_both_ways_are_told_with_callers_models_and_the_newest_examples() -> None:
    report = Report()
    for number in range(20):
        report.add(record(no("no_grant"), asked_by("ann" if number % 4 else "bob"), number=number), YES)
    report.add(record(YES, asked_by("eve", "llama3"), number=99), no("no_grant", "late"))
    report.add(record(YES, number=100), YES)
    document = report_document(report)
    assert (report.compared, report.same, report.flips, report.opened, report.closed) == (22, 1, 21, 20, 1)
    opened = as_object(by(document, Kind.OPENED)["no_grant"])
    assert opened["count"] == 20
    assert opened["callers"] == {"ann": 15, "bob": 5}
    assert [as_object(example)["id"] for example in as_list(opened["examples"])] == [
        f"req-{n}" for n in range(19, 14, -1)
    ]
    closed = by(document, Kind.CLOSED)
    assert set(closed) == {"late", "no_grant"}
    assert as_object(closed["late"])["models"] == {"llama3": 1}
    assert orjson.loads(orjson.dumps(document)) == document


def test_obligations_stand_under_their_names_and_errors_under_their_texts() -> None:
    report = Report()
    report.add(record(YES), {**YES, "obligations": {"max_tokens": 5, "audit": True}})
    report.add(record(YES), PolicyFault("division by zero"))
    document = report_document(report)
    assert set(by(document, Kind.OBLIGATIONS)) == {"audit", "max_tokens"}
    assert document["obligations"] == {"max_tokens": 1, "audit": 1}
    assert document["errors"] == 1
    assert document["error_texts"] == {"division by zero": 1}
    example = as_object(as_list(as_object(by(document, Kind.OBLIGATIONS)["audit"])["examples"])[0])
    assert as_object(example["after"])["obligations"] == {"audit": True, "max_tokens": 5}


def test_what_is_not_compared_is_counted_by_its_reason() -> None:
    report = Report()
    report.add(record(None, engine="credential"), YES)
    assert report.skip(record(None, reason="policy_unavailable"))
    assert report.skip(replace(record(YES), masked=("source.ip",)))
    assert not report.skip(record(YES))
    assert report_document(report)["skipped"] == {"credential": 1, "masked": 1, "unanswered": 1}
    assert f"not compared: 1 ({Skip.MASKED})" in render(report)
    assert report.compared == 0


def test_masked_identifiers_are_numbers_and_the_same_ones_throughout() -> None:
    report = Report()
    for number, name in enumerate(["ann", "bob", "ann"]):
        report.add(record(no("no_grant"), asked_by(name), number=number), YES)
    report.add(record(YES, asked_by("ann")), PolicyFault("ann may not"))
    document = report_document(report, mask_identifiers=True)
    for text in (orjson.dumps(document).decode(), render(report, mask_identifiers=True)):
        assert not any(secret in text for secret in ("ann", "bob", "10.1.2.3", "k1"))
    bucket = as_object(by(document, Kind.OPENED)["no_grant"])
    callers = as_object(bucket["callers"])
    examples = [as_object(example)["caller"] for example in as_list(bucket["examples"])]
    assert sorted(callers.values(), key=str) == [1, 2]
    assert examples[0] == examples[2] != examples[1]
    assert set(map(str, examples)) == set(callers)


def test_memory_does_not_grow_with_what_callers_make_up() -> None:
    report = Report()
    for number in range(3000):
        report.add(record(no(f"c{number}"), asked_by(f"u{number}", f"m{number}"), number=number), YES)
    buckets = report.codes[Kind.OPENED]
    assert len(buckets) == 201
    assert max(len(bucket.callers) for bucket in buckets.values()) == 1001
    assert sum(bucket.count for bucket in buckets.values()) == report.opened == 3000


def test_a_terminal_is_told_nothing_it_would_obey() -> None:
    report = Report()
    report.add(record(no("no_grant"), asked_by("eve\x1b[2J\u202e\nroot", "m\x07")), YES)
    text = render(report)
    assert "eve\\x1b[2J\\u202e\\nroot" in text
    assert all(c.isprintable() or c == "\n" for c in text)


def test_what_opens_is_told_first() -> None:
    report = Report()
    report.add(record(YES), no("late"))
    report.add(record(no("no_grant")), YES)
    text = render(report)
    assert text.startswith("2 decisions compared: 0 the same, 2 would be others\n")
    assert 0 < text.index("deny->allow  no_grant: 1") < text.index("allow->deny  late: 1")


answers: st.SearchStrategy[JSON | PolicyFault] = st.sampled_from(
    [YES, no("a"), no("a", "b"), no(), PolicyFault("x"), None, {**YES, "obligations": {"audit": True}}]
)


@given(
    st.lists(st.tuples(st.sampled_from([YES, no("a"), no("b"), None]), st.sampled_from(["opa", "credential"]), answers))
)
def test_every_record_counts_once(steps: list[tuple[Object | None, str, JSON | PolicyFault]]) -> None:
    report = Report()
    for result, engine, after in steps:
        report.add(record(result, engine=engine), after)
    assert report.same + report.flips == report.compared
    assert report.compared + report.skipped.total() == len(steps)
    assert sum(report.kinds.values()) == report.flips
    render(report)
