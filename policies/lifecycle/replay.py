"""Would this decision have been another one? One recorded decision against what another policy says today.

Compared is what the *policies* said, not what the gateway made of it: a credential's own bounds hold under either. So a
decision is no subject where the policy was not asked (`credential`), where its engine was down (no policy's doing), or
where `redact` took a part of the input out of the record. A policy that failed on an input (POLICY_FAILED) is one, as
mending it may open a door; a failure counts as what it is, a no, with the code FAILED.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policies.engine import PolicyFault
from policies.json import JSON, Object
from policies.obligations import obligations_document
from policies.reasons import Reason
from policies.record import Record
from policies.result import DecisionError, read_decision

FAILED: Final = Reason.POLICY_FAILED.value
"""The code of a policy that gave no usable decision."""


class Kind(StrEnum):
    """How a decision changed, the gravest first. What newly is allowed wants a second confirmation."""

    OPENED = "deny->allow"
    CLOSED = "allow->deny"
    BROKEN = "deny->error"
    OBLIGATIONS = "obligations"
    REASONS = "reasons"


class Skip(StrEnum):
    """Why a record says nothing about a policy."""

    CREDENTIAL = "the credential's own bounds decided; the policy was not asked"
    MASKED = "fields of its input were redacted"
    UNANSWERED = "the policy engine gave no answer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy said, as far as it is compared. `error` is for the operator; it is "" for a decision."""

    allow: bool
    codes: tuple[str, ...]
    obligations: Object
    grants: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Flip:
    """A decision that would have been another one."""

    record: Record
    kind: Kind
    before: Verdict
    after: Verdict

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons it is counted under: those that go away where a door opens, else those that come."""
        codes = self.before.codes if self.kind is Kind.OPENED else self.after.codes
        return codes or ("(none)",)

    @property
    def obligations(self) -> tuple[str, ...]:
        """Names of the obligations that are not the same."""
        names = self.before.obligations.keys() | self.after.obligations.keys()
        return tuple(sorted(n for n in names if self.before.obligations.get(n) != self.after.obligations.get(n)))


def skipped(record: Record) -> Skip | None:
    """Why `record` is not compared, None if it is."""
    if record.engine == "credential":
        return Skip.CREDENTIAL
    if record.masked:
        return Skip.MASKED
    if record.result is None and record.reason != FAILED:
        return Skip.UNANSWERED
    return None


def compare(record: Record, after: JSON | PolicyFault) -> Flip | None:
    """The flip if a policy that answers `after` decides otherwise than was recorded; None if it is the same.

    Records that `skipped` names compare with nothing. Messages, grants and revisions may differ: they decide nothing.
    """
    if skipped(record) is not None:
        return None
    then, now = verdict(record.result), verdict(after)
    kind = _kind(then, now)
    return None if kind is None else Flip(record, kind, then, now)


def verdict(answer: JSON | PolicyFault) -> Verdict:
    """What an answer comes to. One that is no decision is a no with the code FAILED."""
    if isinstance(answer, PolicyFault):
        return Verdict(allow=False, codes=(FAILED,), obligations={}, error=answer.detail)
    try:
        decision = read_decision(answer)
    except DecisionError as error:
        return Verdict(allow=False, codes=(FAILED,), obligations={}, error=str(error))
    return Verdict(
        allow=decision.allow,
        codes=tuple(sorted(set(decision.codes))),
        obligations=obligations_document(decision.obligations),
        grants=decision.grants,
    )


def _kind(then: Verdict, now: Verdict) -> Kind | None:
    if then.allow is not now.allow:
        return Kind.OPENED if now.allow else Kind.CLOSED
    if now.error and not then.error:
        return Kind.BROKEN
    if then.obligations != now.obligations:
        return Kind.OBLIGATIONS
    return Kind.REASONS if then.codes != now.codes else None
