"""A change of a decision is one flip of the right kind; the same answer is none; what was not asked is not compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.engine import PolicyFault
from policies.json import JSON, Object
from policies.lifecycle.replay import FAILED, Flip, Kind, Skip, compare, skipped
from policies.record import Record
from policies.result import read_decision
from tests.policies.asking import decision_document
from tests.policies.lifecycle.questions import YES, no, record

FAULT = PolicyFault("eval_conflict_error")
OTHER_WORDS: Object = {**no("a"), "reasons": [{"code": "a", "message": "in other words"}]}
IDLE: Object = {"audit": False, "capture": "none"}
CAPPED: Object = {**YES, "obligations": {"max_tokens": 10}}


def flip(found: Flip | None) -> Flip:
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("before", "after", "kind", "codes"),
    [
        (YES, no("no_grant"), Kind.CLOSED, ("no_grant",)),
        (no("no_grant", "a"), YES, Kind.OPENED, ("a", "no_grant")),
        (no(), YES, Kind.OPENED, ("(none)",)),
        (YES, no(), Kind.CLOSED, ("(none)",)),
        (no("no_grant"), no("tools"), Kind.REASONS, ("tools",)),
        (no("no_grant"), FAULT, Kind.BROKEN, (FAILED,)),
        (YES, FAULT, Kind.CLOSED, (FAILED,)),
        (YES, None, Kind.CLOSED, (FAILED,)),
        (YES, {"allow": "true"}, Kind.CLOSED, (FAILED,)),
        (YES, {**YES, "obligations": {"make_coffee": True}}, Kind.CLOSED, (FAILED,)),
        (YES, CAPPED, Kind.OBLIGATIONS, ("(none)",)),
    ],
)
def test_a_change_is_one_flip(before: Object, after: JSON | PolicyFault, kind: Kind, codes: tuple[str, ...]) -> None:
    found = flip(compare(record(before), after))
    assert (found.kind, found.codes) == (kind, codes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (YES, {**YES, "grants": ["another"], "revision": "r2"}),
        (YES, {**YES, "obligations": IDLE}),
        ({**YES, "obligations": {"models": ["b", "a"]}}, {**YES, "obligations": {"models": ["a", "b", "ai/A:latest"]}}),
        (no("a", "b"), no("b", "a", "a")),
        (no("a"), OTHER_WORDS),
        ({**no(), "obligations": {"make_coffee": 1}}, no()),
    ],
)
def test_what_decides_nothing_is_no_flip(before: Object, after: Object) -> None:
    assert compare(record(before), after) is None


def test_a_change_of_obligations_names_them() -> None:
    assert flip(compare(record(CAPPED), {**YES, "obligations": {"audit": True}})).obligations == ("audit", "max_tokens")


def test_the_policys_word_is_compared_not_what_the_gateway_made_of_it() -> None:
    refused = replace(record(YES), allow=False, reason="policy_obligation")
    assert compare(refused, YES) is None
    assert flip(compare(refused, no("a"))).kind is Kind.CLOSED


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (record(None, engine="credential", reason="scope_missing"), Skip.CREDENTIAL),
        (replace(record(YES), masked=("caller.id",)), Skip.MASKED),
        (record(None, reason="policy_unavailable"), Skip.UNANSWERED),
    ],
)
def test_what_says_nothing_about_a_policy_is_not_compared(one: Record, why: Skip) -> None:
    assert skipped(one) is why
    assert compare(one, YES) is compare(one, no("a")) is compare(one, FAULT) is None


def test_a_policy_that_failed_is_compared_as_a_no() -> None:
    failed = record(None, reason="policy_failed")
    assert skipped(failed) is None
    assert compare(failed, FAULT) is None
    assert compare(failed, "not an object") is None
    assert flip(compare(failed, YES)).codes == (FAILED,)
    assert flip(compare(failed, no("a"))).kind is Kind.REASONS


json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "allow", "chat"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["allow", "reasons", "obligations", "code", "max_tokens", "grants"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
codes = st.lists(st.sampled_from(["a", "b", "no_grant"]), max_size=3)
results = st.one_of(
    codes.map(lambda found: no(*found)),
    st.sampled_from([YES, CAPPED]),
    st.dictionaries(st.sampled_from(["allow", "reasons", "obligations", "grants", "revision"]), json, max_size=5),
    st.none(),
)
records = st.builds(
    record,
    results,
    reason=st.sampled_from(["", FAILED, "policy_denied", "policy_unavailable"]),
    engine=st.sampled_from(["opa", "embedded", "remote", "cache", "last-good", "credential"]),
)


@given(records)
def test_the_recorded_answer_itself_is_never_a_flip(one: Record) -> None:
    assert compare(one, one.result) is None


@given(st.one_of(st.sampled_from([YES, CAPPED]), codes.map(lambda found: no(*found))))
def test_nor_is_it_once_it_was_read(result: Object) -> None:
    assert compare(record(result), decision_document(read_decision(result))) is None


@given(records, results, results)
def test_what_opens_and_what_closes_is_told_by_the_answers_alone(
    one: Record, before: Object | None, after: Object
) -> None:
    there = compare(replace(one, result=before), after)
    back = compare(replace(one, result=after), before)
    opposite = {Kind.OPENED: Kind.CLOSED, Kind.CLOSED: Kind.OPENED}
    if there is not None and back is not None and there.kind in opposite:
        assert back.kind is opposite[there.kind]
        assert there.after.allow is not there.before.allow
