"""The result document of a policy, v1, read strictly: `Decision`, or `DecisionError`, which is a no.

    {"allow": true, "reasons": [{"code", "message", "public"}], "obligations": {...}, "grants": [...], "revision": ""}

Only `allow: true`, as JSON's own boolean, in a document without a single fault is a yes (A4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from policies.json import JSON, Object
from policies.obligations import NOTHING, ObligationError, Obligations, read_obligations

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,63}", re.ASCII)
_MAX_REASONS: Final = 64
_MAX_GRANTS: Final = 1_024
_MAX_TEXT: Final = 500


class DecisionError(ValueError):
    """The document is no decision; the text says why in words of ours, for the operator's log."""


class UnmetObligation(DecisionError):
    """A yes that is tied to something outside the vocabulary of obligations."""


@dataclass(frozen=True, slots=True)
class Why:
    """One reason of a no: a code for logs and metrics, a message that callers see only if `public`."""

    code: str
    message: str = ""
    public: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy said. `grants` name what a yes rests on; `revision` is the policy data's own word, informative."""

    allow: bool
    reasons: tuple[Why, ...] = ()
    obligations: Obligations = NOTHING
    grants: tuple[str, ...] = ()
    revision: str = ""

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(why.code for why in self.reasons)


def read_decision(document: JSON) -> Decision:
    """The decision in `document`, the value of `data.gateway.authz.decision`. DecisionError for anything else.

    Obligations of a no bind nobody and are not read. Further keys are ignored, so that a policy can say more to others.
    """
    if not isinstance(document, dict):
        raise DecisionError("the result is not an object")
    allow = document.get("allow")
    if allow is not True and allow is not False:
        raise DecisionError("`allow` is not true or false")
    try:
        obligations = read_obligations(document.get("obligations", {})) if allow else NOTHING
    except ObligationError as error:
        raise UnmetObligation(str(error)) from None
    revision = document.get("revision", "")
    if not isinstance(revision, str) or len(revision) > _MAX_TEXT:
        raise DecisionError("`revision` is not a short string")
    return Decision(allow, _reasons(document.get("reasons", [])), obligations, _grants(document), revision)


def _reasons(value: JSON) -> tuple[Why, ...]:
    if not isinstance(value, list) or len(value) > _MAX_REASONS:
        raise DecisionError(f"`reasons` is not a list of at most {_MAX_REASONS}")
    return tuple(sorted((_why(item) for item in value), key=lambda why: (why.code, why.message)))


def _why(value: JSON) -> Why:
    if not isinstance(value, dict):
        raise DecisionError("a reason is not an object")
    code, message, public = value.get("code"), value.get("message", ""), value.get("public", False)
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        raise DecisionError("a reason's `code` is not a word of a-z, 0-9 and _")
    if not isinstance(message, str) or not isinstance(public, bool):
        raise DecisionError("a reason's `message` is not a string, or its `public` no boolean")
    return Why(code, message[:_MAX_TEXT], public)


def _grants(document: Object) -> tuple[str, ...]:
    value = document.get("grants", [])
    if not isinstance(value, list) or len(value) > _MAX_GRANTS:
        raise DecisionError(f"`grants` is not a list of at most {_MAX_GRANTS}")
    names = [name for name in value if isinstance(name, str) and len(name) <= _MAX_TEXT]
    if len(names) != len(value):
        raise DecisionError("`grants` holds something that is not a short string")
    return tuple(sorted(names))
