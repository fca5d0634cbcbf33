"""Reading token counts out of what engines send. Pure."""

from __future__ import annotations

from typing import Final

from policies.exchange import Usage
from policies.json import JSON, Object, as_count, as_object

_MOST: Final = 10**8
"""Tokens; a count above it is a bug or a lie (the longest contexts are 10**7), and sums of it overflow stores."""


class Reported:
    """What the engine has said of one answer's tokens so far.

    The prompt's count goes into the `Usage` as soon as it is known. That of the answer only when the answer is whole
    (`settle`): until then it is a running count at best (vLLM's continuous stats), a 0 at worst (Ollama's completions).
    """

    __slots__ = ("_into", "_source", "output")

    def __init__(self, into: Usage) -> None:
        self._into = into
        self._source = "none"
        self.output: int | None = None
        """Generated tokens at least; None while the engine has not said."""

    def read(self, document: Object) -> bool:
        """Take the counts of an OpenAI `usage` object or llama-server's `timings`, whichever says more.

        True if they are of the answer. A later larger count replaces an earlier one, a smaller never does. `timings`
        come even without include_usage (facts/engines.md 2.1): input = cache_n + prompt_n, output = predicted_n.
        """
        usage, timings = document.get("usage"), document.get("timings")
        said = False
        if isinstance(usage, dict):
            self._take_prompt(usage.get("prompt_tokens"), as_object(usage.get("prompt_tokens_details")))
            said = self._take(usage.get("completion_tokens"), "engine")
        if isinstance(timings, dict) and not said and self._source != "engine":
            cache, prompt = _count(timings.get("cache_n")), _count(timings.get("prompt_n"))
            if prompt is not None:
                self._take_prompt((cache or 0) + prompt, {"cached_tokens": cache})
            said = self._take(timings.get("predicted_n"), "timings")
        return said

    def settle(self, generated: int) -> bool:
        """The answer is whole, and of `generated` tokens as far as its text tells: write down what the engine counted.

        False if it has not counted it: it said nothing, or 0 of an answer that has text.
        """
        if self.output is None or (generated and not self.output):
            return False
        self._into.output, self._into.source = self.output, self._source
        return True

    def _take_prompt(self, said: JSON, details: Object) -> None:
        count, cached = _count(said), _count(details.get("cached_tokens"))
        if count:  # 0 is what engines write that have not counted yet
            self._into.input = max(count, self._into.input or 0)
            self._into.cached = cached if cached is not None else self._into.cached

    def _take(self, said: JSON, source: str) -> bool:
        count = _count(said)
        if count is None or count < (self.output or 0):
            return False
        self.output, self._source = count, source
        return True


def _count(value: JSON) -> int | None:
    count = as_count(value)
    return count if count is not None and count <= _MOST else None


def usage_object(usage: Usage) -> Object:
    """The OpenAI `usage` object of what was counted."""
    read, written = usage.input or 0, usage.output or 0
    document: Object = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    if usage.cached is not None:
        document["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    return document
