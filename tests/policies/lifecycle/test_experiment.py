"""One thing changes at a time; what is said to help does help, by the policy's own word and within the bounds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import PolicyFault
from policies.grants import Grant, Hours, policy_data
from policies.input import Counters, PolicyInput, Shape
from policies.json import JSON, Object, as_object
from policies.lifecycle.experiment import Change, Known, single_changes, what_would_help
from policies.lifecycle.nearness import bounds
from policies.principal import Scope
from tests.policies.lifecycle.questions import ANN, CHAT, YES, Policy, grants, no, questions

DEV = Grant("dev", ("qwen*",), groups=("dev",))
KNOWN = Known(
    groups=("dev", "ops"), networks=("office", "vpn"), listeners=("lan", "wan"), models=("qwen3", "ai/Llama3")
)


def helping(granted: list[Grant], question: PolicyInput, known: Known = KNOWN) -> list[str]:
    data = policy_data(granted)
    policy = Policy(data)
    changes = single_changes(question.document(), known.with_grants(data))
    return [c.description for c in what_would_help(changes, [policy.decide(c.input) for c in changes])]


def test_each_missing_condition_is_found_by_asking_the_policy() -> None:
    assert helping([replace(DEV, groups=("ops",))], CHAT) == ["with the caller in the group ops"]
    assert helping([replace(DEV, networks=("vpn",))], CHAT) == ["from the network vpn"]
    assert helping([replace(DEV, listeners=("wan",))], CHAT) == ["on the listener wan"]
    assert helping([replace(DEV, models=("llama*",))], CHAT) == ["with the model ai/Llama3"]
    tools = replace(CHAT, shape=Shape(tools=1, tool_names=("sh",)))
    assert helping([replace(DEV, tools=False)], tools) == ["without tools"]
    assert helping([replace(DEV, images=False)], replace(CHAT, shape=Shape(images=3))) == ["without images"]


def test_the_next_hour_and_the_next_day_are_told_not_all_of_them() -> None:
    later = replace(DEV, hours=(Hours(("wed", "fri"), 15, 18), Hours(("fri",), 12, 13)))
    assert helping([later], CHAT) == ["at 15:00, 3 h later", "on a Friday at this hour"]


def test_what_the_credential_lacks_is_found_too() -> None:
    reader = replace(CHAT, principal=replace(ANN, scopes=frozenset({Scope.MODELS_READ})))
    assert helping([DEV], reader) == ["with the scope inference"]
    llama = replace(CHAT, principal=replace(ANN, models=("llama*",)))
    assert helping([], llama) == ["with the model ai/Llama3", "with a credential for all models"]


def test_two_things_missing_are_not_mended_by_one() -> None:
    assert helping([replace(DEV, groups=("ops",), networks=("vpn",))], CHAT) == []


def test_a_policy_of_ones_own_is_asked_the_same_way() -> None:
    def strict(document: Object) -> Object:
        request, usage = as_object(document["request"]), as_object(document["usage"])
        small = request["max_tokens"] in {100, 64, 1} and request["input_chars"] == 0
        return YES if small or (usage["tokens_day"] == 0 and request["tools"] == 1) else no("custom")

    shape = Shape(max_tokens=256, tools=2, tool_names=("a", "b"), n=2)
    asked = replace(CHAT, shape=shape, usage=Counters(tokens_day=9)).document()
    changes = single_changes(asked, Known())
    helps = what_would_help(changes, [strict(change.input) for change in changes])
    assert [change.description for change in helps] == ["with max_tokens 64"]


def test_a_policy_that_fails_helps_nobody() -> None:
    changes = single_changes(CHAT.document(), KNOWN)
    answers: list[JSON | PolicyFault] = [PolicyFault("x"), None, {"allow": 1}, {**YES, "obligations": {"x": 1}}]
    assert what_would_help(changes[:4], answers) == []


def test_a_yes_of_the_policy_beyond_the_credentials_bounds_is_no_help() -> None:
    reader = replace(CHAT, principal=replace(ANN, scopes=frozenset({Scope.MODELS_READ}))).document()
    changes = single_changes(reader, KNOWN)
    assert {c.kind for c in what_would_help(changes, [YES] * len(changes))} == {"scope"}
    assert all(c.kind == "scope" for c in changes if not bounds(c.input))


def test_at_most_five_of_a_kind() -> None:
    changes = single_changes(CHAT.document(), Known(groups=tuple(f"g{n}" for n in range(200))))
    assert sum(change.kind == "group" for change in changes) == 50
    assert sum(c.kind == "group" for c in what_would_help(changes, [YES] * len(changes))) == 5


def test_time_moves_as_a_whole() -> None:
    changes = single_changes(CHAT.document(), Known())
    (hour,) = [change for change in changes if change.description == "at 01:00, 13 h later"]
    time = as_object(hour.input["time"])
    assert (time["hour"], time["weekday"], time["iso"]) == (1, 3, "2026-11-19T01:00:00+00:00")
    assert time["now_ns"] == CHAT.time.now_ns + 13 * 3600 * 10**9


def differing(before: Object, after: Object) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@given(questions, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_one_section_changes_and_the_question_stays_what_it_was(question: PolicyInput, chars: int) -> None:
    document = replace(question, shape=replace(question.shape, input_chars=chars)).document()
    kept = repr(document)
    changes = single_changes(document, KNOWN)
    assert repr(document) == kept
    assert len(changes) < 400
    assert len({change.description for change in changes}) == len(changes)
    for change in changes:
        assert len(differing(document, change.input)) == 1
        assert change.input.keys() == document.keys()


@given(st.lists(grants, max_size=3, unique_by=lambda grant: grant.id), questions)
@settings(max_examples=40, deadline=None)
def test_whatever_is_said_to_help_helps(granted: list[Grant], question: PolicyInput) -> None:
    data, document = policy_data(granted), question.document()
    policy = Policy(data)
    changes = single_changes(document, KNOWN.with_grants(data))
    helps: list[Change] = what_would_help(changes, [policy.decide(change.input) for change in changes])
    assert all(policy.decide(change.input)["allow"] is True for change in helps)


def test_names_of_the_grants_are_known() -> None:
    data = policy_data([replace(DEV, users=("ann",), networks=("vpn",), listeners=("wan", "lan"))])
    assert Known(groups=("dev", "x"), models=("m",)).with_grants(data) == Known(
        ("dev", "x"), ("vpn",), ("wan", "lan"), ("m",)
    )
    assert Known().with_grants({"grants": [1, {"subjects": []}, {"networks": [5]}]}) == Known()


def test_what_is_no_input_of_v1_is_changed_as_far_as_it_goes() -> None:
    assert [change.kind for change in single_changes({}, KNOWN) if change.kind in {"hour", "model"}] == []
    assert all(c.kind != "hour" for c in single_changes({"time": {"hour": 24, "weekday": 0}}, Known()))
    assert all(c.kind != "hour" for c in single_changes({"time": {"hour": 1, "weekday": "mon"}}, Known()))
    (hour, *_) = [
        c for c in single_changes({"time": {"hour": 1, "weekday": 6, "iso": "then"}}, Known()) if c.kind == "hour"
    ]
    assert hour.input["time"] == {"hour": 2, "weekday": 6, "iso": "then"}


def test_a_credential_that_has_expired_would_do_without_an_end() -> None:
    late = replace(CHAT, principal=replace(ANN, expires_at=1.0)).document()
    changes = single_changes(late, Known())
    assert [c.description for c in what_would_help(changes, [YES] * len(changes))] == [
        "with a credential that does not expire"
    ]
