"""The policy decision point: one question in, one `Answer` out, whatever the engine does. Fails closed.

    cached? -> ask the engine -> read its result strictly -> remember

A decision point belongs to one engine and so to one revision; changing the policy means another decision point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from policies.cache import VOLATILE, KeyAt, Lru, Path, key_without
from policies.engine import PolicyEngine, PolicyEngineDown, PolicyFault
from policies.json import Object
from policies.reasons import Reason
from policies.result import Decision, DecisionError, UnmetObligation, read_decision

CACHE: Final = "cache"
LAST_GOOD: Final = "last-good"
_CAPACITY: Final = 10_000


class Answer(NamedTuple):
    """What became of one question. Exactly one of `decision` and `failure` is there.

    `result` is the result document as the engine gave it, None if it gave none. `engine` is who answered: embedded,
    opa, remote, cache or last-good. `took_us` microseconds.
    """

    decision: Decision | None
    failure: Reason | None
    detail: str
    result: Object | None
    engine: str
    revision: str
    took_us: int


@dataclass(frozen=True, slots=True)
class LastGood:
    """Answers of at most `seconds` ago may stand in for an engine that is down; never for a policy that fails."""

    seconds: float


class DecisionPoint:
    """Asks one engine."""

    def __init__(self, engine: PolicyEngine, *, clock: Callable[[], float], last_good: LastGood | None = None) -> None:
        """`clock`: monotonic seconds."""
        self.engine: Final = engine
        self._clock = clock
        self._last_good = last_good
        self._key_at: KeyAt | None = None
        self._cache: Lru[Answer] = Lru(_CAPACITY)
        self._remembered: Lru[tuple[float, Answer]] = Lru(_CAPACITY)
        self.asked = 0

    @property
    def caches(self) -> bool:
        """Whether answers are kept."""
        return self._key_at is not None

    def cache_on(self, paths: Sequence[Path]) -> None:
        """Keep answers from now on: the policy reads nothing of the input but what is at `paths`."""
        self._key_at = KeyAt(paths)

    async def ask(self, document: Object) -> Answer:
        """The answer for the input `document`. Never raises but for cancellation: every failure is an Answer."""
        began = self._clock()
        key = self._key(document)
        if key is not None and (kept := self._cache.get(key)) is not None:
            return self._again(kept, CACHE, began)
        self.asked += 1
        answer = await self._evaluate(document, began)
        if key is not None and answer.decision is not None:
            self._cache.put(key, answer)
        return answer

    def _key(self, document: Object) -> bytes | None:
        try:
            return None if self._key_at is None else self._key_at(document)
        except orjson.JSONEncodeError:  # half a surrogate pair: `_evaluate` says so
            return None

    async def _evaluate(self, document: Object, began: float) -> Answer:
        try:
            result = await self.engine.evaluate(orjson.dumps(document))
        except PolicyEngineDown as error:
            return self._stand_in(document, began) or self._failed(Reason.POLICY_UNAVAILABLE, error.detail, None, began)
        except (PolicyFault, orjson.JSONEncodeError) as error:
            return self._failed(Reason.POLICY_FAILED, str(error), None, began)
        shown = result if isinstance(result, dict) else None
        try:
            decision = read_decision(result)
        except UnmetObligation as error:
            return self._failed(Reason.POLICY_OBLIGATION, str(error), shown, began)
        except DecisionError as error:
            return self._failed(Reason.POLICY_FAILED, str(error), shown, began)
        engine = self.engine
        answer = Answer(decision, None, "", shown, engine.kind, engine.revision, self._since(began))
        if self._last_good is not None:
            self._remembered.put(key_without(VOLATILE, document), (began, answer))
        return answer

    def _stand_in(self, document: Object, began: float) -> Answer | None:
        if self._last_good is None:
            return None
        found = self._remembered.get(key_without(VOLATILE, document))
        if found is None or began - found[0] > self._last_good.seconds:
            return None
        return self._again(found[1], LAST_GOOD, began)

    def _again(self, answer: Answer, engine: str, began: float) -> Answer:
        return Answer(answer.decision, None, "", answer.result, engine, answer.revision, self._since(began))

    def _failed(self, reason: Reason, detail: str, result: Object | None, began: float) -> Answer:
        engine = self.engine
        return Answer(None, reason, detail, result, engine.kind, engine.revision, self._since(began))

    def _since(self, began: float) -> int:
        return round((self._clock() - began) * 1e6)
