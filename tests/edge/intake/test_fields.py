"""Known parameters go on, others are dropped and named, and near misses are refused."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.fields import (
    FOLDED,
    MAX_IGNORED,
    MAX_SHOWN,
    MAX_UNKNOWN,
    TOO_MANY_UNKNOWN,
    Field,
    Record,
    Trail,
    check,
    fail,
    path,
)
from edge.intake.kinds import Array
from edge.intake.leaves import Flag, Int, Text
from edge.intake.spelling import fold
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused

INNER = Record(Field("role", Text(), required=True), Field("content", Text(), nullable=True), dropped=("audio",))
SPEC = Record(
    Field("model", Text(1, 9), required=True),
    Field("messages", Array(INNER, 1, 5000)),
    Field("options", Record(Field("on", Flag()))),
    Field("n", Int(1, 4)),
    dropped=("store",),
)
JUNK: Object = {"cache_salt": "x", "n_discard": -1, "id_slot": 0}


def test_known_parameters_go_on() -> None:
    document: Object = {"n": 2, "model": "m", "messages": [{"role": "user", "content": "x"}], "options": {"on": True}}
    assert check(document, SPEC) == (document, ())


def test_unknown_ones_are_dropped_and_named_at_their_place() -> None:
    document: Object = {
        "model": "m",
        **JUNK,
        "messages": [{"role": "u", "foo": 1}, {"role": "u", "foo": 2, "bar": {"deep": 1}}],
        "options": {"on": True, "off": False},
    }
    clean, ignored = check(document, SPEC)
    assert clean == {"model": "m", "messages": [{"role": "u"}, {"role": "u"}], "options": {"on": True}}
    assert ignored == (*JUNK, "messages[].foo", "messages[].bar", "options.off")


@CALM
@given(st.dictionaries(st.text(max_size=50), st.integers() | st.text(), max_size=50))
def test_names_are_few_short_and_harmless_and_none_goes_on(unknown: dict[str, JSON]) -> None:
    known = {fold(name) for name in SPEC.names}
    unknown = {name: value for name, value in unknown.items() if fold(name) not in known}
    clean, ignored = check({"model": "m", **unknown}, SPEC)
    assert clean == {"model": "m"}
    assert bool(ignored) == bool(unknown)
    assert len(set(ignored)) == len(ignored) <= MAX_IGNORED
    assert all(re.fullmatch(r"[A-Za-z0-9_.?\[\]-]{1,64}", name) for name in ignored)


def test_names_that_could_split_a_header_are_question_marks() -> None:
    document: Object = {"model": "m", "a\r\nx: y": 1, "é": 1, "x" * 100: 1, "messages": [{"role": "u", "<b>": 1}]}
    assert check(document, SPEC)[1] == ("?", "messages[].?")
    long = Record(Field("y" * 60, Record(Field("z" * 60, Record()))))
    assert [len(n) for n in check({"y" * 60: {"z" * 60: {"x" * 40: 1}}}, long)[1]] == [MAX_SHOWN]


def test_strict_refuses_unknown_names_but_not_useless_ones() -> None:
    with refused(Reason.UNKNOWN_PARAMETER, None):
        check({"model": "m", "foo": 1}, SPEC, strict=True)
    with refused(Reason.UNKNOWN_PARAMETER, "messages[]"):
        check({"model": "m", "messages": [{"role": "u", "foo": 1}]}, SPEC, strict=True)
    document: Object = {"model": "m", "store": True, "messages": [{"role": "u", "audio": {}}]}
    assert check(document, SPEC, strict=True) == (
        {"model": "m", "messages": [{"role": "u"}]},
        ("store", "messages[].audio"),
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "name", ["MODEL", "mode\u006c\x00", "M\u00f6del", "\uff4dodel", "\u017ftore", "Store", "\u212a"]
)
def test_a_second_spelling_of_a_known_name_is_refused_strict_or_not(name: str, strict: bool) -> None:
    spec = Record(Field("model", Text(), required=True), Field("k", Flag()), dropped=("store",))
    with pytest.raises(Refusal) as caught:
        check({"model": "m", name: "x"}, spec, strict=strict)
    assert (caught.value.reason, caught.value.param, caught.value.hint) == (Reason.INVALID_PARAMETER, None, FOLDED)


def test_it_is_refused_at_every_level_even_alone() -> None:
    with refused(Reason.INVALID_PARAMETER, None):
        check({"MODEL": "m"}, SPEC)
    with refused(Reason.INVALID_PARAMETER, "messages[]"):
        check({"model": "m", "messages": [{"Role": "u"}]}, SPEC)
    with refused(Reason.INVALID_PARAMETER, "options"):
        check({"model": "m", "options": {"ON": True}}, SPEC)


def test_null_is_absent_unless_the_field_keeps_it() -> None:
    document: Object = {"model": "m", "n": None, "options": None, "messages": [{"role": "u", "content": None}]}
    assert check(document, SPEC) == ({"model": "m", "messages": [{"role": "u", "content": None}]}, ())
    with refused(Reason.MISSING_PARAMETER, "model"):
        check({"model": None}, SPEC)


def test_missing_ones_are_named() -> None:
    with refused(Reason.MISSING_PARAMETER, "model"):
        check({}, SPEC)
    with refused(Reason.MISSING_PARAMETER, "messages[].role"):
        check({"model": "m", "messages": [{}]}, SPEC)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"model": 1}, "model"),
        ({"model": "m", "messages": {}}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": ["x"]}, "messages[]"),
        ({"model": "m", "messages": [None]}, "messages[]"),
        ({"model": "m", "messages": [{"role": "u", "content": 1}]}, "messages[].content"),
        ({"model": "m", "options": {"on": 1}}, "options.on"),
        ({"model": "m", "n": 5}, "n"),
    ],
)
def test_wrong_values_are_refused_with_their_place(document: Object, place: str) -> None:
    with refused(Reason.INVALID_PARAMETER, place):
        check(document, SPEC)


def test_members_can_be_judged_together() -> None:
    def rule(body: Object, at: Trail) -> None:
        if len(body) > 1:
            fail((at, "n"), "There may be only one.")

    spec = Record(Field("n", Int(1, 4)), Field("m", Int(1, 4)), rule=rule)
    assert check({"m": 1}, spec)[0] == {"m": 1}
    with refused(Reason.INVALID_PARAMETER, "n"):
        check({"m": 1, "n": 1}, spec)


def test_the_document_of_the_caller_stays_as_it_was() -> None:
    document: Object = {"model": "m", "foo": 1, "messages": [{"role": "u", "bar": 1}]}
    check(document, SPEC)
    assert document == {"model": "m", "foo": 1, "messages": [{"role": "u", "bar": 1}]}


def test_a_flood_of_names_is_refused_before_it_costs_much() -> None:
    flood: Object = {f"\u017f{i}": 0 for i in range(150_000)}
    start = time.process_time()
    with pytest.raises(Refusal) as caught:
        check({"model": "m", **flood}, SPEC)
    assert time.process_time() - start < 1
    assert caught.value.hint == TOO_MANY_UNKNOWN
    few: Object = {f"x{i}": 0 for i in range(MAX_UNKNOWN)}
    assert len(check({"model": "m", **few}, SPEC)[1]) == MAX_IGNORED


def test_the_same_unknown_name_in_every_message_counts_once() -> None:
    messages: list[JSON] = [{"role": "u", "foo": i} for i in range(5000)]
    assert check({"model": "m", "messages": messages}, SPEC)[1] == ("messages[].foo",)


def test_places_read_like_code() -> None:
    assert path((((((None, "messages"), "[]"), "tool_calls"), "[]"), "id")) == "messages[].tool_calls[].id"
    assert path(None) == ""
