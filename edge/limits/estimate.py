"""How many tokens a prompt has and an answer will have, learnt from what engines count. Pure, bounded memory.

Prompts: characters by a ratio per model. It moves towards what engines report, so that the hold is near what will be
charged. Answers: the 95th percentile of the last answers of a key to a model, so that a hold is tight and callers in
parallel are not refused for what they will not use.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

FIRST_OUTPUT: Final = 256
"""Tokens held for an answer while nothing is known."""
FIRST_GPU_MS: Final = 5_000
"""Milliseconds of the engine's time held for a request while nothing is known."""
_LAST: Final = 64
_ENOUGH: Final = 5
_QUANTILE: Final = 0.95
_LEAST_OUTPUT: Final = 16
_CHARS_PER_TOKEN: Final = 4.0
_LEAST_RATIO: Final = 0.5  # a character can be several tokens (rare scripts, byte fall-back)
_MOST_RATIO: Final = 20.0
_WEIGHT: Final = 0.1
_PER_MESSAGE: Final = 8  # what chat templates add around each message, roughly
_MANY: Final = 4_096


@dataclass(slots=True)
class _Prompts:
    """What is known of a model's prompts: characters per token."""

    ratio: float = _CHARS_PER_TOKEN
    seen: int = 0


class _Latest:
    """The last figures, kept in order too: the quantile is asked for before each request."""

    __slots__ = ("_came", "_ordered")

    def __init__(self) -> None:
        self._came: deque[int] = deque()
        self._ordered: list[int] = []

    def add(self, figure: int) -> None:
        self._came.append(figure)
        insort(self._ordered, figure)
        if len(self._came) > _LAST:
            del self._ordered[bisect_left(self._ordered, self._came.popleft())]

    @property
    def quantile(self) -> int | None:
        """None: there are too few of them."""
        seen = len(self._ordered)
        return None if seen < _ENOUGH else self._ordered[math.ceil(_QUANTILE * seen) - 1]


@dataclass(slots=True)
class _Answers:
    """Of the last answers: tokens, and milliseconds of the engine's time."""

    tokens: _Latest = field(default_factory=_Latest)
    gpu_ms: _Latest = field(default_factory=_Latest)


class _Recent(Generic[K, V]):
    """A dictionary of the most recently used."""

    def __init__(self, make: type[V]) -> None:
        self._make = make
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._items.get(key)

    def of(self, key: K) -> V:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = self._make()
            if len(self._items) > _MANY:
                self._items.popitem(last=False)
        else:
            self._items.move_to_end(key)
        return item


class Estimates:
    """One per gateway."""

    def __init__(self) -> None:
        self._prompts: _Recent[str, _Prompts] = _Recent(_Prompts)
        self._answers: _Recent[tuple[str, str], _Answers] = _Recent(_Answers)

    def input(self, model: str, chars: int, messages: int) -> int:
        """Tokens that a prompt of `chars` characters in `messages` messages probably has; at least 1."""
        known = self._prompts.get(model)
        ratio = _CHARS_PER_TOKEN if known is None else known.ratio
        return max(1, math.ceil(chars / ratio) + _PER_MESSAGE * messages)

    def learn_input(self, model: str, chars: int, messages: int, tokens: int) -> None:
        """The engine counted `tokens` in such a prompt."""
        if tokens <= 0 or chars <= 0:
            return
        known = self._prompts.of(model)
        weight = max(_WEIGHT, 1 / (known.seen + 1))
        body = max(1, tokens - _PER_MESSAGE * messages)
        known.ratio = min(max(known.ratio + weight * (chars / body - known.ratio), _LEAST_RATIO), _MOST_RATIO)
        known.seen += 1

    def output(self, key: str, model: str) -> int:
        """Tokens that 19 of 20 answers to this key stay below; what the model's answers to all say for a new key."""
        for which in ((key, model), ("", model)):
            known = self._answers.get(which)
            if known is not None and (tokens := known.tokens.quantile) is not None:
                return max(_LEAST_OUTPUT, tokens)
        return FIRST_OUTPUT

    def gpu_ms(self, key: str, model: str) -> int:
        """Milliseconds of the engine's time that 19 of 20 requests of this key stay below."""
        for which in ((key, model), ("", model)):
            known = self._answers.get(which)
            if known is not None and (gpu_ms := known.gpu_ms.quantile) is not None:
                return max(1, gpu_ms)
        return FIRST_GPU_MS

    def learn_output(self, key: str, model: str, tokens: int, gpu_ms: int = 0) -> None:
        """One answer came to its end after `tokens`; the request took `gpu_ms`."""
        for which in ((key, model), ("", model)):
            known = self._answers.of(which)
            known.tokens.add(tokens)
            known.gpu_ms.add(gpu_ms)
