"""The members of a JSON body that admins send: each known, each of its type. Refusal otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from edge.admin.answers import Ask
from edge.admin.bodies import BodyLimits, read_json
from edge.listener.limits import KIB
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

_T = TypeVar("_T")
_SMALL: Final = BodyLimits(received=16 * KIB, inflated=16 * KIB, nodes=1000, depth=4)


@dataclass(frozen=True, slots=True)
class Fields:
    """A body of known members."""

    document: Object

    def text(self, name: str) -> str:
        """A string that must be there."""
        value = self.document.get(name)
        if value is None:
            raise Refusal(Reason.MISSING_PARAMETER, param=name)
        return self._is(name, value, str)

    def maybe(self, name: str) -> str | None:
        """A string, or nothing."""
        value = self.document.get(name)
        return None if value is None else self._is(name, value, str)

    def flag(self, name: str) -> bool:
        """True, or else false."""
        return self._is(name, self.document.get(name, False), bool)

    def count(self, name: str) -> int | None:
        """A whole number of at least 1, or nothing."""
        value = self.document.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 53:
            raise Refusal(Reason.INVALID_PARAMETER, param=name)
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings that must not be empty."""
        value = self.document.get(name)
        if not isinstance(value, list) or not value:
            raise Refusal(Reason.MISSING_PARAMETER if value is None else Reason.INVALID_PARAMETER, param=name)
        return [self._is(name, each, str) for each in value]

    def checked(self, name: str, check: Callable[[], _T]) -> _T:
        """What `check` makes of it; its ValueError is a refusal, with its text as a hint (it is a constant of ours)."""
        try:
            return check()
        except ValueError as error:
            raise Refusal(Reason.INVALID_PARAMETER, param=name, hint=str(error)) from None

    def _is(self, name: str, value: JSON, kind: type[_T]) -> _T:
        if not isinstance(value, kind):
            raise Refusal(Reason.INVALID_PARAMETER, param=name)
        return value


async def read_fields(ask: Ask, known: frozenset[str]) -> Fields:
    """The body of `ask`, an object with none but `known` members. Refusal."""
    if ask.inbound.query:
        raise Refusal(Reason.UNKNOWN_PARAMETER)
    document = await read_json(ask.inbound, _SMALL)
    if not isinstance(document, dict):
        raise Refusal(Reason.INVALID_JSON)
    if not document.keys() <= known:
        raise Refusal(Reason.UNKNOWN_PARAMETER)
    return Fields(document)
