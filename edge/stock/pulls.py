"""What is being fetched: so many models at once for all callers, and for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edge.stock.settings import PullSettings
from policies.errors import Refusal
from policies.reasons import Reason

_RETRY: Final = 30.0
FULL: Final = "So many models are being fetched already as this gateway fetches at once."


class Pulls:
    """One for all listeners, and for admins."""

    def __init__(self, settings: PullSettings | None = None) -> None:
        self.settings: Final = settings or PullSettings()
        self._models: Counter[str] = Counter()
        self._callers: Counter[str] = Counter()

    def fetches(self, model: str) -> bool:
        """Whether canonical `model` is being fetched now."""
        return model in self._models

    @contextmanager
    def take(self, model: str, key: str | None = None) -> Iterator[None]:
        """Fetch canonical `model`, for the credential `key`; None = an admin, who has no share of its own.

        Refusal(CONCURRENCY_EXCEEDED) if that is one too many.
        """
        if key is not None and self._callers[key] >= self.settings.per_caller:
            raise Refusal(Reason.CONCURRENCY_EXCEEDED, retry_after=_RETRY)
        if self._models.total() >= self.settings.at_once:
            raise Refusal(Reason.CONCURRENCY_EXCEEDED, hint=FULL, retry_after=_RETRY)
        self._models[model] += 1
        if key is not None:
            self._callers[key] += 1
        try:
            yield
        finally:
            _less(self._models, model)
            if key is not None:
                _less(self._callers, key)


def _less(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
