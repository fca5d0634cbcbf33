"""An explanation says who asked what, who decided by what, and what was missing, in a document and in words."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings

from policies.grants import Grant, policy_data
from policies.input import PolicyInput, Shape, Wanted
from policies.json import JSON, Object
from policies.lifecycle.experiment import Known, single_changes, what_would_help
from policies.lifecycle.explain import Explanation, deciding, explain, explanation_document, render_explanation
from policies.lifecycle.nearness import Miss
from policies.lifecycle.text import clean, words
from policies.principal import Scope
from policies.record import Record
from tests.policies.lifecycle.questions import ANN, CHAT, YES, Policy, no, questions, record

OPS = Grant("ops", ("qwen*", "llama*"), groups=("ops",), networks=("office",))
NIGHT = Grant("far", ("llama*",), users=("bob",), networks=("vpn",))
RULES = ("permitted", "scope_ok", "within_key", "granted", "target", "mine")


def explained(granted: list[Grant], question: PolicyInput = CHAT) -> Explanation:
    """As `policy explain` does it: the recorded decision, today's rules and data, and the experiments."""
    data = policy_data(granted)
    policy, document = Policy(data), question.document()
    result = policy.decide(document)
    changes = single_changes(document, Known().with_grants(data))
    helps = what_would_help(changes, [policy.decide(change.input) for change in changes])
    reason = "" if result["allow"] else "model_not_permitted"
    taken = record(result, question, reason=reason, engine="embedded")
    return explain([taken], rules=policy.rules(document, *RULES), data=data, revision=taken.revision, helps=helps)


def test_a_no_says_what_was_missing_grant_by_grant() -> None:
    found = explained([NIGHT, OPS])
    assert [(grant.id, [miss.condition for miss in grant.misses]) for grant in found.grants] == [
        ("ops", ["subject"]),
        ("far", ["subject", "model", "network"]),
    ]
    assert render_explanation(found) == (
        "request   req-1\n"
        "who       ann, groups dev\n"
        "with      credential k1 (ci), scopes inference, models:read, models *\n"
        "what      chat with model qwen3: max_tokens 256, messages 1, input_chars 100\n"
        "where     10.1.2.3, networks office, listener lan\n"
        "when      2026-11-18T12:00:00+00:00 (UTC)\n"
        "verdict   denied: model_not_permitted, by the policy, in the embedded engine\n"
        f"revision  {'r' * 64}, 240 microseconds\n"
        "reason    no_grant: no grant for this caller and operation\n"
        "\n"
        "rules that hold      scope_ok, within_key\n"
        "rules that do not    granted, permitted\n"
        "values of the others\n"
        "    target = qwen3\n"
        "\n"
        "grant ops does not hold:\n"
        "    subject: wanted group:ops, had user:ann, group:dev, key:k1\n"
        "grant far does not hold:\n"
        "    subject: wanted user:bob, had user:ann, group:dev, key:k1\n"
        "    model: wanted llama*, had qwen3\n"
        "    network: wanted vpn, had office\n"
        "it would have been allowed:\n"
        "    with the caller in the group ops\n"
    )


def test_a_yes_says_what_it_rests_on_and_is_tied_to() -> None:
    found = explained([replace(OPS, groups=("dev",), max_tokens=100)])
    text = render_explanation(found)
    assert found.matched == ("ops",)
    assert "verdict   allowed, by the policy" in text
    assert "grants    ops\n" in text
    assert "ties      max_tokens=100\n" in text
    assert "wanted" not in text


def test_a_grant_that_holds_but_not_for_what_the_request_carries() -> None:
    found = explained([replace(OPS, groups=("dev",), images=False)], replace(CHAT, shape=Shape(images=2)))
    text = render_explanation(found)
    assert "grant ops holds, but:\n    images: wanted no, had 2\n" in text
    assert "    without images\n" in text


def test_the_credentials_own_bounds_are_named() -> None:
    who = replace(ANN, scopes=frozenset({Scope.MODELS_READ}), models=("llama*",))
    taken = record(None, replace(CHAT, principal=who), reason="scope_missing", engine="credential")
    found = explain([taken])
    assert found.bounds == (Miss("scope", "inference", ["models:read"]), Miss("model", ["llama*"], "qwen3"))
    text = render_explanation(found)
    assert "by the credential's own bounds; the policy was not asked" in text
    assert "the credential lacks: scope: wanted inference, had models:read\n" in text


def test_a_place_that_the_credential_is_not_for() -> None:
    taken = record(None, reason="place_not_permitted", engine="credential")
    assert "bound to other networks or listeners" in render_explanation(explain([taken]))


@pytest.mark.parametrize(
    ("taken", "text"),
    [
        (record(YES, engine="cache"), "by an answer that was kept"),
        (record(YES, engine="last-good"), "an earlier answer of the policy, as its engine was down"),
        (record(YES, engine="remote"), "in a remote OPA"),
        (record(None, reason="policy_unavailable"), "nobody: the policy engine did not answer"),
        (record(None, reason="policy_failed"), "nobody: the policy gave no usable decision"),
        (record(None, reason="policy_obligation"), "the gateway: it cannot do what the policy ties its yes to"),
        (
            replace(record(YES), allow=False, reason="tools_not_permitted"),
            "the gateway, after a yes of the policy, in OPA",
        ),
        (record(no("a"), reason="policy_denied"), "the policy, in OPA"),
        (record(YES, engine="x\x1b"), "the policy, in x\\x1b"),
    ],
)
def test_who_decided_is_always_told(taken: Record, text: str) -> None:
    assert text in explain([taken]).decided_by


def test_a_redirect_is_told_and_the_last_question_decides() -> None:
    first = replace(
        record({**YES, "obligations": {"model": "qwen3"}}, replace(CHAT, model=Wanted("gpt", "gpt"))), at=5.0
    )
    second = replace(record(no("no_grant"), reason="model_not_permitted"), redirect=1, at=5.0)
    found = explain([second, first])
    assert found.record is second
    assert found.earlier == (first,)
    assert "before    allowed for gpt, by the policy, in OPA\n" in render_explanation(found)
    with pytest.raises(ValueError, match="no record"):
        deciding([])


def test_the_gateways_own_record_comes_before_what_an_opa_reported_of_it() -> None:
    own = replace(record(YES, engine="remote", reason="policy_obligation"), allow=False)
    reported = replace(record(YES, engine="remote"), at=own.at + 0.001)
    assert deciding([reported, own]) is own


def test_another_revision_than_the_recorded_one_is_said() -> None:
    taken = record(no("a"), reason="policy_denied")
    assert explain([taken], revision="other").stale
    assert "Another revision" in render_explanation(explain([taken], revision="other"))
    assert not explain([taken], revision=taken.revision).stale
    assert not explain([taken]).stale
    assert not explain([replace(taken, revision="")], revision="other").stale  # no policy decided


def test_what_was_redacted_is_said() -> None:
    text = render_explanation(explain([replace(record(YES), masked=("caller.id",))]))
    assert "redacted  caller.id: not all" in text


def test_rules_are_told_by_their_values() -> None:
    found = explain([record(YES)], rules={"decision": {}, "b": True, "a": True, "c": False, "d": [1], "e": None})
    assert (found.rules.true, found.rules.false, found.rules.values) == (("a", "b"), ("c",), {"d": [1], "e": None})


def test_a_terminal_is_told_nothing_it_would_obey() -> None:
    evil = "x\x1b]0;\u202e\n"
    question = replace(CHAT, principal=replace(ANN, id=evil, name=evil), model=Wanted(evil, ""))
    result: Object = {**no("a"), "reasons": [{"code": evil, "message": evil}]}
    taken = replace(record(result, question, reason=evil), id=evil, detail=evil, revision=evil, masked=(evil,))
    rules: JSON = {evil: True, "v": evil}
    text = render_explanation(explain([taken], rules=rules))
    assert all(c.isprintable() or c == "\n" for c in text)


@given(questions)
@settings(max_examples=40, deadline=None)
def test_every_decision_of_the_default_policy_can_be_explained(question: PolicyInput) -> None:
    found = explained([OPS, NIGHT], question)
    document = explanation_document(found)
    assert orjson.loads(orjson.dumps(document)) == document
    assert render_explanation(found)
    if found.record.allow:
        assert found.bounds == ()
        assert found.matched
    else:
        assert found.bounds or any(grant.misses for grant in found.grants)


def test_text_is_one_line_and_short() -> None:
    assert clean("a\r\n\tb\x00é\U0001f600") == "a\\r\\n\\tb\\x00é\U0001f600"
    assert clean("x" * 300, 10) == "x" * 9 + "…"
    values: list[JSON] = [None, "", [], {}, False, 0, 1.5, ["a", ["b"]], {"k": [True]}]
    assert [words(value) for value in values] == ["-", "-", "-", "-", "no", "0", "1.5", "a, b", "k=yes"]


def test_of_many_grants_the_nearest_are_told_and_the_rest_counted() -> None:
    many = [replace(OPS, id=f"g{number:02d}") for number in range(13)]
    text = render_explanation(explained(many))
    assert text.count("does not hold:") == 10
    assert "and 3 grants that are further off\n" in text
