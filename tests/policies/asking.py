"""Questions and permits for tests that are about something else."""

from __future__ import annotations

from policies.call import Dialect, Operation
from policies.decision import Abilities, Denial, Permit, Redirect, judge
from policies.input import NO_SHAPE, Instant, Place, PolicyInput, Shape, Wanted
from policies.json import JSON, Object
from policies.obligations import NOTHING, Obligations, obligations_document
from policies.principal import Principal
from policies.result import Decision

# 2026-11-21 is a Saturday.
NOON = Instant(1_795_262_400_000_000_000, "2026-11-21T12:00:00+00:00", 12, 0, 5, "UTC")
YES = Decision(allow=True)


def question(
    principal: Principal,
    operation: Operation = Operation.CHAT,
    model: str = "tiny",
    *,
    ip: str = "127.0.0.1",
    listener: str = "local",
    shape: Shape = NO_SHAPE,
    models: tuple[str, ...] = (),
) -> PolicyInput:
    """What the gateway would ask the policy; `model` is canonical, "" for none."""
    return PolicyInput(
        id="0" * 32,
        principal=principal,
        place=Place(ip, (), listener, 8080),
        operation=operation,
        dialect=Dialect.OPENAI,
        method="POST",
        route="/v1/chat/completions",
        time=NOON,
        model=Wanted(model, model),
        shape=shape,
        models=models,
    )


def verdict(
    asked: PolicyInput, decision: Decision = YES, abilities: Abilities | None = None
) -> Permit | Denial | Redirect:
    """The verdict, where the policy says `decision`."""
    return judge(asked, decision, abilities or Abilities())


def permit(asked: PolicyInput, obligations: Obligations = NOTHING) -> Permit:
    """The permit of a policy that says yes."""
    found = verdict(asked, Decision(allow=True, obligations=obligations))
    assert isinstance(found, Permit)
    return found


def decision_document(decision: Decision) -> Object:
    """`decision` as the policy would have written it."""
    reasons: list[JSON] = [{"code": why.code, "message": why.message, "public": why.public} for why in decision.reasons]
    return {
        "allow": decision.allow,
        "reasons": reasons,
        "obligations": obligations_document(decision.obligations),
        "grants": list(decision.grants),
        "revision": decision.revision,
    }
