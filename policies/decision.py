"""May they? What a credential may at all, what the policy said about this request, and `Permit`: the proof of a yes.

    within_bounds   the credential's own bounds: a ceiling that no policy lifts
    judge           the bounds and the policy's decision -> Permit | Denial | Redirect

Pure. Only `judge` makes Permits for callers, and only from a decision that was read strictly; without a Permit nothing
is sent to an engine. Anything but a clear yes is a Denial.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias, final

from policies.call import Operation
from policies.input import MAX_NAMES, PolicyInput, Shape
from policies.names import canonical, is_name, matches
from policies.obligations import NOTHING, Capture, Obligations, merged
from policies.principal import Network, Principal, Scope
from policies.reasons import Reason
from policies.result import Decision
from policies.text import one_line

_SEAL: Final = object()
_HINT: Final = 300


@final
class Permit:
    """Proof of a yes: `principal` may do `operation` with `model` (canonical; "" where none is meant).

    `obligations` are what the yes is tied to, `grants` what it rests on in the policy's own words.
    """

    __slots__ = ("grants", "model", "obligations", "operation", "principal")

    def __init__(
        self,
        seal: object,
        principal: Principal,
        operation: Operation,
        model: str,
        *,
        obligations: Obligations = NOTHING,
        grants: tuple[str, ...] = (),
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("only policies.decision makes a Permit")
        self.principal = principal
        self.operation = operation
        self.model = model
        self.obligations = obligations
        self.grants = grants

    def shows(self, model: str) -> bool:
        """Whether a listing for this permit may name canonical `model`."""
        visible = self.obligations.models
        return may_use(self.principal, model) and (visible is None or model in visible)


@dataclass(frozen=True, slots=True)
class Denial:
    """A no, with its reason. `hint` is what the policy's author wants callers to read, `detail` for the operator."""

    reason: Reason
    hint: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Yes, but to another model: to be asked about `question`, under `obligations` already."""

    question: PolicyInput
    obligations: Obligations
    grants: tuple[str, ...]


Verdict: TypeAlias = Permit | Denial


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this gateway can do, so that it knows which obligations it cannot meet."""

    rate_classes: frozenset[str] = frozenset()
    captures: frozenset[Capture] = frozenset({"none", "metadata"})


NEEDS: Final[dict[Operation, Scope | None]] = {
    Operation.CHAT: Scope.INFERENCE,
    Operation.COMPLETIONS: Scope.INFERENCE,
    Operation.EMBEDDINGS: Scope.INFERENCE,
    Operation.RERANK: Scope.INFERENCE,
    Operation.SCORE: Scope.INFERENCE,
    Operation.TOKENIZE: Scope.INFERENCE,
    Operation.MODELS_LIST: Scope.MODELS_READ,
    Operation.MODELS_SHOW: Scope.MODELS_READ,
    Operation.MODELS_PULL: Scope.MODELS_WRITE,
    Operation.MODELS_DELETE: Scope.MODELS_WRITE,
    Operation.ME: None,
}
_NO_MODEL: Final = frozenset({Operation.MODELS_LIST, Operation.ME})

# The words of the default policy. Where a policy gives several, the first of these is the one to say: what cannot be
# helped by waiting comes before what can.
_REASONS: Final[dict[str, Reason]] = {
    "key_expired": Reason.CREDENTIAL_REVOKED,
    "scope_missing": Reason.SCOPE_MISSING,
    "place_not_permitted": Reason.PLACE_NOT_PERMITTED,
    "no_grant": Reason.MODEL_NOT_PERMITTED,
    "model_not_permitted": Reason.MODEL_NOT_PERMITTED,
    "tools_not_allowed": Reason.TOOLS_NOT_PERMITTED,
    "images_not_allowed": Reason.IMAGES_NOT_PERMITTED,
}
_QUOTAS: Final = frozenset({"token_quota", "request_quota", "rate_limited"})


def within_bounds(question: PolicyInput) -> Denial | None:
    """What the credential itself rules out, whatever the policy says: its places, scopes and model globs.

    The denial for a model is the same whether or not it exists: a caller cannot tell a hidden from a missing one.
    """
    principal, place = question.principal, question.place
    if not _place_ok(principal, place.ip, place.listener):
        return Denial(Reason.PLACE_NOT_PERMITTED)
    need = NEEDS[question.operation]
    if need is not None and need not in principal.scopes:
        return Denial(Reason.SCOPE_MISSING)
    if question.operation in _NO_MODEL:
        return None
    model = question.model.resolved
    return None if model and may_use(principal, model) else Denial(Reason.MODEL_NOT_PERMITTED)


def judge(
    question: PolicyInput, decision: Decision, abilities: Abilities, *, after: Redirect | None = None
) -> Permit | Denial | Redirect:
    """The verdict on `question`, given what the policy said about it.

    `after` is the redirect that led to this question: its obligations hold too, and a second redirect is a no.
    """
    denial = within_bounds(question)
    if denial is not None:
        return denial
    if decision.allow is not True:
        # Who one is, one may always know; a policy that says no to that says that there is nothing to list.
        if question.operation is Operation.ME:
            return Permit(_SEAL, question.principal, Operation.ME, "", obligations=Obligations(models=frozenset()))
        return _refused(decision)
    mine, grants = decision.obligations, decision.grants
    if after is not None:
        if after.question != question:
            raise RuntimeError("the answer to another question")
        mine, grants = merged(after.obligations, mine), tuple(sorted({*after.grants, *grants}))
    denial = _unmet(question, mine, abilities)
    if denial is not None:
        return denial
    if mine.model is not None and mine.model != question.model.resolved:
        return _elsewhere(question, mine, grants, again=after is not None)
    model = "" if question.operation in _NO_MODEL else question.model.resolved
    return Permit(_SEAL, question.principal, question.operation, model, obligations=mine, grants=grants)


def _elsewhere(
    question: PolicyInput, obligations: Obligations, grants: tuple[str, ...], *, again: bool
) -> Denial | Redirect:
    if again or obligations.model is None:
        return Denial(Reason.POLICY_OBLIGATION, detail="model: redirected twice")
    wanted = replace(question.model, resolved=obligations.model)
    return Redirect(replace(question, model=wanted), replace(obligations, model=None), grants)


def own_permit(model: str) -> Permit:
    """The gateway's own permit, for a trial of an engine that it started itself; no caller is behind it.

    ValueError if `model` is no canonical name.
    """
    if not is_name(model) or canonical(model) != model:
        raise ValueError("not a model's name")
    scopes = frozenset({Scope.INFERENCE})
    gateway = Principal("llm-gateway", "gateway", "gateway", "key", frozenset(), scopes, models=(model,))
    return Permit(_SEAL, gateway, Operation.CHAT, model)


def admins_permit(principal: Principal, model: str) -> Permit:
    """For an admin who has a model deleted, by the admin listener: no policy is asked there.

    ValueError if `model` is no canonical name, or `principal` no admin.
    """
    if Scope.ADMIN not in principal.scopes or not is_name(model) or canonical(model) != model:
        raise ValueError("no admin, or not a model's name")
    return Permit(_SEAL, principal, Operation.MODELS_DELETE, model)


def _refused(decision: Decision) -> Denial:
    codes = decision.codes
    hint = " ".join(why.message for why in decision.reasons if why.public and why.message)
    detail = "policy: " + (", ".join(codes) or "no reason given")
    # A policy may put a model's name as the caller wrote it into its message.
    return Denial(_reason(codes), one_line(hint, _HINT), detail)


def _reason(codes: tuple[str, ...]) -> Reason:
    known = next((reason for code, reason in _REASONS.items() if code in codes), None)
    if known is not None:
        return known
    return Reason.QUOTA_EXCEEDED if codes and _QUOTAS.issuperset(codes) else Reason.POLICY_DENIED


def _unmet(question: PolicyInput, wanted: Obligations, abilities: Abilities) -> Denial | None:
    """The first obligation that cannot be met for this request."""
    shape, model = question.shape, question.model.resolved
    detail = ""
    if wanted.rate_class is not None and wanted.rate_class not in abilities.rate_classes:
        detail = f"rate_class {wanted.rate_class} is not configured"
    elif wanted.capture not in abilities.captures:
        detail = f"capture {wanted.capture} is not available"
    elif wanted.model is not None and question.operation in _NO_MODEL:
        detail = "model: there is no model to redirect"
    elif wanted.max_tokens is not None and wanted.max_tokens < shape.n * shape.prompts:
        detail = "max_tokens is less than one for each choice"
    if detail:
        return Denial(Reason.POLICY_OBLIGATION, detail=detail)
    if wanted.tools_allowed is not None and not _tools_ok(shape, wanted.tools_allowed, wanted.strip):
        return Denial(Reason.TOOLS_NOT_PERMITTED, detail="tools_allowed")
    served = wanted.model in {None, model} and question.operation not in _NO_MODEL
    if served and wanted.models is not None and model not in wanted.models:
        return Denial(Reason.MODEL_NOT_PERMITTED, detail="not among the obligation's models")
    return None


def _tools_ok(shape: Shape, allowed: frozenset[str], strip: frozenset[str]) -> bool:
    """Names beyond the first MAX_NAMES are not in the input, and what is not known is not allowed."""
    if not shape.tools or "tools" in strip:
        return True
    return shape.tools <= MAX_NAMES and allowed.issuperset(shape.tool_names)


def may_use(principal: Principal, model: str) -> bool:
    """Whether one of the principal's globs covers canonical `model`."""
    name = canonical(model)
    return any(matches(pattern, name) for pattern in principal.models)


def _place_ok(principal: Principal, ip: str, listener: str) -> bool:
    if principal.listeners and listener not in principal.listeners:
        return False
    return not principal.networks or within(ip, principal.networks)


def within(ip: str, networks: Iterable[Network]) -> bool:
    """Whether address `ip` lies in one of `networks`; an IPv4-mapped IPv6 address counts as the IPv4 one it is."""
    try:
        address = ip_address(plain_address(ip))
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in networks)


def plain_address(ip: str) -> str:
    """`ip` as IPv4 if it is mapped into IPv6 (`::ffff:10.0.0.1`), where engines differ; anything else unchanged."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    return str(address.ipv4_mapped) if isinstance(address, IPv6Address) and address.ipv4_mapped else ip
