"""Which models an engine holds in memory, as far as its answers tell, and which one it loads. Pure.

No engine is asked: `/api/ps` and its like are a moment old when they arrive, and half of the kinds have nothing of the
sort (facts/engines.md 0). What was answered last is loaded; what was not used for longest makes room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

UNLOADED_AFTER: Final = 300.0
"""Seconds without a request after which a model is no longer taken for loaded: Ollama's and Docker Model Runner's idle
time. Where it was loaded all the same, that costs one request alone at its beginning."""


class Residency:
    """The models of one engine that holds `most` of them at once; `most` = None: it never swaps, all are there."""

    __slots__ = ("_running", "_used", "loading", "most")

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._running: dict[str, int] = {}
        self._used: dict[str, float] = {}  # loaded model -> last used, least recently used first
        self.loading: str | None = None

    @property
    def swaps(self) -> bool:
        """Whether it matters at all what is loaded."""
        return self.most is not None

    def ready(self, model: str, now: float) -> bool:
        """Whether a request for `model` would be answered without a load."""
        if self.most is None or model in self._running:
            return model != self.loading
        used = self._used.get(model)
        return used is not None and now - used < UNLOADED_AFTER

    def loaded(self, now: float) -> list[str] | None:
        """The models that are ready, by name; None where the engine never swaps."""
        if self.most is None:
            return None
        return sorted(model for model in {*self._running, *self._used} if self.ready(model, now))

    def left(self, model: str, now: float) -> float:
        """Seconds for which `model` is taken for loaded if nobody asks for it: infinite where the engine never swaps,
        0 if it is not loaded."""
        if not self.ready(model, now):
            return 0.0
        if self.most is None:
            return math.inf
        return UNLOADED_AFTER - (0.0 if model in self._running else now - self._used[model])

    def may_load(self) -> bool:
        """Whether another model fits beside those that are answering, and none is being loaded."""
        return self.most is None or (self.loading is None and len(self._running) < self.most)

    def has_room(self, now: float) -> bool:
        """Whether a model can be loaded without another one making room."""
        return self.most is None or sum(self.ready(model, now) for model in self._used) < self.most

    def take(self, model: str, now: float) -> bool:
        """A request for `model` begins; True if it is the one that makes the engine load it."""
        if self.most is None:
            return False
        loads = not self.ready(model, now)
        if loads:
            self.loading = model
            for other in (model, *self.makes_room(model)):
                _ = self._used.pop(other, None)
        else:
            self._touch(model, now)
        self._running[model] = self._running.get(model, 0) + 1
        return loads

    def began(self, model: str, now: float) -> None:
        """The engine answered: `model` is loaded."""
        if self.loading == model:
            self.loading = None
            self._touch(model, now)

    def failed(self, model: str) -> None:
        """The request that should have loaded `model` ended without an answer."""
        if self.loading == model:
            self.loading = None

    def give(self, model: str, now: float) -> None:
        """A request for `model` is over."""
        if self.most is None:
            return
        left = self._running[model] - 1
        if left:
            self._running[model] = left
        else:
            del self._running[model]
        if model in self._used:
            self._touch(model, now)

    def makes_room(self, model: str) -> list[str]:
        """What has to go where `model` is loaded now; never one that is answering."""
        used = [other for other in self._used if other != model]
        idle = [other for other in used if other not in self._running]
        return idle[: max(len(used) + 1 - (self.most or 0), 0)]

    def replace(self, running: Iterable[str], loading: str | None, used: Mapping[str, float]) -> None:
        """What somebody else saw, in place of all that is known here: the model of each request that is answered (the
        `loading` one among them), and when those that are loaded were used last."""
        self._running = {}
        for model in running:
            self._running[model] = self._running.get(model, 0) + 1
        self._used = dict(sorted(used.items(), key=lambda item: item[1]))
        self.loading = loading

    def _touch(self, model: str, now: float) -> None:
        _ = self._used.pop(model, None)
        self._used[model] = now
