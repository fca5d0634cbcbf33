"""Only a clear yes makes a Permit: the credential's bounds, the policy's word, and every obligation met."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.call import Operation
from policies.decision import Abilities, Denial, Permit, Redirect, admins_permit, judge, own_permit
from policies.input import Shape
from policies.obligations import Obligations, Priority, read_obligations
from policies.principal import DEFAULT_SCOPES, Principal, Scope
from policies.reasons import Reason
from policies.result import Decision, Why
from tests.policies.asking import YES, question, verdict


def principal(
    *,
    models: tuple[str, ...] = ("*",),
    scopes: frozenset[Scope] = DEFAULT_SCOPES,
    networks: tuple[str, ...] = (),
    listeners: frozenset[str] = frozenset(),
) -> Principal:
    return Principal(
        id="ann",
        key_id="k1",
        name="ann",
        auth="key",
        groups=frozenset(),
        scopes=scopes,
        models=models,
        networks=tuple(ip_network(n) for n in networks),
        listeners=listeners,
    )


def reason(who: Principal, operation: Operation, model: str, ip: str = "127.0.0.1") -> Reason | None:
    found = verdict(question(who, operation, model, ip=ip))
    return found.reason if isinstance(found, Denial) else None


def denied(decision: Decision, shape: Shape | None = None, operation: Operation = Operation.CHAT) -> Denial:
    found = verdict(question(principal(), operation, shape=shape or Shape()), decision)
    assert isinstance(found, Denial)
    return found


def tied(**obligations: object) -> Decision:
    return Decision(allow=True, obligations=Obligations(**obligations))  # type: ignore[arg-type]


def test_a_permit_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Permit(object(), principal(), Operation.CHAT, "tiny")


def test_a_permit_carries_what_was_decided() -> None:
    found = verdict(question(principal()), Decision(allow=True, grants=("g",), obligations=Obligations(max_tokens=7)))
    assert isinstance(found, Permit)
    assert (found.model, found.operation, found.principal.id) == ("tiny", Operation.CHAT, "ann")
    assert (found.grants, found.obligations.max_tokens) == (("g",), 7)


@pytest.mark.parametrize(
    ("who", "operation", "model", "expected"),
    [
        (principal(), Operation.CHAT, "tiny", None),
        (principal(), Operation.CHAT, "", Reason.MODEL_NOT_PERMITTED),
        (principal(models=("qwen*",)), Operation.CHAT, "tiny", Reason.MODEL_NOT_PERMITTED),
        (principal(models=()), Operation.CHAT, "tiny", Reason.MODEL_NOT_PERMITTED),
        (principal(models=("AI/Tiny:latest",)), Operation.CHAT, "tiny", None),
        (principal(scopes=frozenset()), Operation.CHAT, "tiny", Reason.SCOPE_MISSING),
        (principal(scopes=frozenset({Scope.ADMIN})), Operation.CHAT, "tiny", Reason.SCOPE_MISSING),
        (principal(scopes=frozenset({Scope.INFERENCE})), Operation.MODELS_LIST, "", Reason.SCOPE_MISSING),
        (principal(), Operation.MODELS_PULL, "tiny", Reason.SCOPE_MISSING),
        (principal(), Operation.MODELS_DELETE, "tiny", Reason.SCOPE_MISSING),
        (principal(scopes=frozenset({Scope.ADMIN})), Operation.MODELS_PULL, "tiny", Reason.SCOPE_MISSING),
        (principal(scopes=frozenset({Scope.MODELS_WRITE})), Operation.MODELS_PULL, "tiny", None),
        (principal(scopes=frozenset({Scope.MODELS_WRITE})), Operation.MODELS_DELETE, "tiny", None),
        (principal(scopes=frozenset({Scope.MODELS_WRITE})), Operation.MODELS_PULL, "", Reason.MODEL_NOT_PERMITTED),
        (
            principal(scopes=frozenset({Scope.MODELS_WRITE}), models=("qwen*",)),
            Operation.MODELS_DELETE,
            "tiny",
            Reason.MODEL_NOT_PERMITTED,
        ),
        (principal(scopes=frozenset()), Operation.ME, "", None),
        (principal(), Operation.MODELS_LIST, "", None),
        (principal(listeners=frozenset({"lan"})), Operation.ME, "", Reason.PLACE_NOT_PERMITTED),
    ],
)
def test_no_policy_lifts_the_bounds_of_a_credential(
    who: Principal, operation: Operation, model: str, expected: Reason | None
) -> None:
    assert reason(who, operation, model) is expected


@pytest.mark.parametrize(
    ("network", "ip", "inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "::1", False),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "not an address", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_a_bound_key_works_only_in_its_networks(network: str, ip: str, *, inside: bool) -> None:
    expected = None if inside else Reason.PLACE_NOT_PERMITTED
    assert reason(principal(networks=(network,)), Operation.CHAT, "tiny", ip) is expected


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), Reason.POLICY_DENIED),
        (("no_grant",), Reason.MODEL_NOT_PERMITTED),
        (("model_not_permitted",), Reason.MODEL_NOT_PERMITTED),
        (("scope_missing", "no_grant"), Reason.SCOPE_MISSING),
        (("tools_not_allowed",), Reason.TOOLS_NOT_PERMITTED),
        (("images_not_allowed", "house_rule"), Reason.IMAGES_NOT_PERMITTED),
        (("token_quota",), Reason.QUOTA_EXCEEDED),
        (("token_quota", "house_rule"), Reason.POLICY_DENIED),
        (("token_quota", "no_grant"), Reason.MODEL_NOT_PERMITTED),
        (("house_rule",), Reason.POLICY_DENIED),
    ],
)
def test_what_a_policy_says_becomes_one_reason_and_waiting_is_never_advised_in_vain(
    codes: tuple[str, ...], expected: Reason
) -> None:
    denial = denied(Decision(allow=False, reasons=tuple(Why(code, "not for callers") for code in codes)))
    assert denial.reason is expected
    assert denial.hint == ""
    assert all(code in denial.detail for code in codes)


def test_callers_read_public_messages_without_control_characters() -> None:
    whys = (Why("a", "ask\x1b[31m\nIT", public=True), Why("b", "internal"))
    assert denied(Decision(allow=False, reasons=whys)).hint == "ask [31m IT"


def test_everyone_may_know_who_they_are() -> None:
    found = verdict(question(principal(), Operation.ME, ""), Decision(allow=False, reasons=(Why("no_grant"),)))
    assert isinstance(found, Permit)
    assert not found.shows("tiny")


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (tied(rate_class="gold"), Reason.POLICY_OBLIGATION),
        (tied(capture="full"), Reason.POLICY_OBLIGATION),
        (tied(max_tokens=2), Reason.POLICY_OBLIGATION),
        (tied(models=frozenset({"other"})), Reason.MODEL_NOT_PERMITTED),
        (tied(model="tiny", models=frozenset({"other"})), Reason.MODEL_NOT_PERMITTED),
        (tied(tools_allowed=frozenset({"search"})), Reason.TOOLS_NOT_PERMITTED),
    ],
)
def test_an_obligation_that_cannot_be_met_is_a_no(decision: Decision, expected: Reason) -> None:
    assert denied(decision, Shape(n=3, tools=2, tool_names=("search", "shell"))).reason is expected


@pytest.mark.parametrize(
    "decision",
    [
        tied(rate_class="silver"),
        tied(capture="metadata"),
        tied(max_tokens=3),
        tied(models=frozenset({"tiny", "other"})),
        tied(tools_allowed=frozenset({"search", "shell", "more"})),
        tied(tools_allowed=frozenset(), strip=frozenset({"tools"})),
        tied(model="tiny"),
    ],
)
def test_an_obligation_that_can_be_met_is_carried_by_the_permit(decision: Decision) -> None:
    asked = question(principal(), shape=Shape(n=3, tools=2, tool_names=("search", "shell")))
    found = verdict(asked, decision, Abilities(frozenset({"silver"})))
    assert isinstance(found, Permit)
    assert found.obligations == decision.obligations


def test_a_cap_below_one_token_for_each_choice_of_each_prompt_is_a_no() -> None:
    asked = question(principal(), Operation.COMPLETIONS, shape=Shape(n=2, prompts=3))
    assert isinstance(verdict(asked, tied(max_tokens=5)), Denial)
    assert isinstance(verdict(asked, tied(max_tokens=6)), Permit)


def test_tools_beyond_what_the_input_can_name_are_not_allowed_unseen() -> None:
    names = tuple("search" for _ in range(256))
    assert denied(tied(tools_allowed=frozenset({"search"})), Shape(tools=300, tool_names=names)).reason is (
        Reason.TOOLS_NOT_PERMITTED
    )


def test_a_listing_cannot_be_redirected() -> None:
    assert denied(tied(model="other"), operation=Operation.MODELS_LIST).reason is Reason.POLICY_OBLIGATION


def redirect(to: str = "other", **more: object) -> Redirect:
    found = verdict(question(principal(models=("tiny", "other"))), tied(model=to, **more))
    assert isinstance(found, Redirect)
    return found


def test_a_redirect_is_a_new_question_about_the_target() -> None:
    first = redirect()
    assert (first.question.model.requested, first.question.model.resolved) == ("tiny", "other")
    found = judge(first.question, YES, Abilities(), after=first)
    assert isinstance(found, Permit)
    assert found.model == "other"


def test_a_redirect_does_not_leave_the_bounds_nor_lead_to_another() -> None:
    outside = redirect("secret")
    again = redirect()
    verdicts = [
        judge(outside.question, YES, Abilities(), after=outside),
        judge(again.question, Decision(allow=False), Abilities(), after=again),
        judge(again.question, tied(model="tiny"), Abilities(), after=again),
    ]
    assert [found.reason for found in verdicts if isinstance(found, Denial)] == [
        Reason.MODEL_NOT_PERMITTED,
        Reason.POLICY_DENIED,
        Reason.POLICY_OBLIGATION,
    ]


def test_the_answer_to_another_question_is_nobodys() -> None:
    first = redirect()
    with pytest.raises(RuntimeError):
        judge(replace(first.question, id="1" * 32), YES, Abilities(), after=first)


def test_the_obligations_of_both_questions_hold() -> None:
    first = redirect(max_tokens=5, audit=True, strip=frozenset({"seed"}), priority=Priority.NORMAL, timeout_s=9.0)
    second = tied(
        max_tokens=8,
        strip=frozenset({"logprobs"}),
        priority=Priority.BATCH,
        timeout_s=3.0,
        redact=frozenset({"source.ip"}),
        tools_allowed=frozenset({"a"}),
        headers=(("x-a", "1"),),
    )
    found = judge(first.question, second, Abilities(), after=first)
    assert isinstance(found, Permit)
    assert found.obligations == Obligations(
        max_tokens=5,
        strip=frozenset({"seed", "logprobs"}),
        priority=Priority.BATCH,
        timeout_s=3.0,
        redact=frozenset({"source.ip"}),
        tools_allowed=frozenset({"a"}),
        headers=(("x-a", "1"),),
        audit=True,
    )


def test_an_admins_permit_is_for_deleting_one_model() -> None:
    permit = admins_permit(principal(scopes=frozenset({Scope.ADMIN})), "tiny")
    assert (permit.operation, permit.model) == (Operation.MODELS_DELETE, "tiny")
    with pytest.raises(ValueError, match="no admin"):
        admins_permit(principal(scopes=frozenset(Scope) - {Scope.ADMIN}), "tiny")
    for name in ("", "ai/tiny", "Tiny", "../x"):
        with pytest.raises(ValueError, match="no admin"):
            admins_permit(principal(scopes=frozenset({Scope.ADMIN})), name)


def test_the_gateways_own_permit_is_for_one_model() -> None:
    assert own_permit("tiny").model == "tiny"
    for name in ("", "Tiny", "ai/tiny", "a b"):
        with pytest.raises(ValueError, match="model"):
            own_permit(name)


@given(
    allow=st.booleans(),
    models=st.sampled_from([("*",), ("tiny",), ("qwen*",), ()]),
    obligations=st.fixed_dictionaries(
        {},
        optional={
            "max_tokens": st.integers(1, 4),
            "models": st.lists(st.sampled_from(["tiny", "qwen"])),
            "tools_allowed": st.lists(st.sampled_from(["a", "b"])),
            "capture": st.sampled_from(["none", "metadata", "full"]),
            "rate_class": st.sampled_from(["known", "unknown"]),
        },
    ),
    shape=st.builds(Shape, n=st.integers(1, 4), tools=st.integers(0, 1), tool_names=st.sampled_from([(), ("a",)])),
)
def test_a_permit_is_never_wider_than_what_was_said(
    *, allow: bool, models: tuple[str, ...], obligations: dict[str, object], shape: Shape
) -> None:
    decision = Decision(allow=allow, obligations=read_obligations(obligations))  # type: ignore[arg-type]
    found = verdict(question(principal(models=models), shape=shape), decision, Abilities(frozenset({"known"})))
    if not isinstance(found, Permit):
        return
    held = found.obligations
    assert allow
    assert models in {("*",), ("tiny",)}
    assert held == decision.obligations
    assert held.capture != "full"
    assert held.rate_class != "unknown"
    assert held.models is None or "tiny" in held.models
    assert held.tools_allowed is None or not shape.tools or held.tools_allowed.issuperset(shape.tool_names)
    assert held.max_tokens is None or held.max_tokens >= shape.n
