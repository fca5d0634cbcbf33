"""Reading token counts out of what engines send. Pure."""

from __future__ import annotations

from policies.exchange import Usage
from policies.json import JSON, Object, as_count, as_object


def read_usage(document: Object, into: Usage) -> bool:
    """Take the counts of an OpenAI `usage` object or llama-server's `timings`, whichever says more; True if any.

    An engine may repeat usage on every chunk (vLLM's continuous stats) or send zeros until the end (Ollama's
    completions): a later larger count replaces an earlier one, a zero never does. `timings` come even without
    include_usage (facts/engines.md 2.1): input = cache_n + prompt_n, output = predicted_n.
    """
    usage = document.get("usage")
    if isinstance(usage, dict) and _take(into, usage.get("prompt_tokens"), usage.get("completion_tokens")):
        cached = as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens"))
        into.cached = cached if cached is not None else into.cached
        into.source = "engine"
        return True
    timings = document.get("timings")
    if isinstance(timings, dict) and into.source != "engine":
        cache, prompt = as_count(timings.get("cache_n")), as_count(timings.get("prompt_n"))
        if prompt is not None and _take(into, (cache or 0) + prompt, timings.get("predicted_n")):
            into.cached = cache if cache is not None else into.cached
            into.source = "timings"
            return True
    return False


def _take(into: Usage, prompt: JSON, completion: JSON) -> bool:
    read, written = as_count(prompt), as_count(completion)
    if not read and not written:
        return False
    into.input = max(read or 0, into.input or 0)
    into.output = max(written or 0, into.output or 0)
    return True


def usage_object(usage: Usage) -> Object:
    """The OpenAI `usage` object of what was counted."""
    read, written = usage.input or 0, usage.output or 0
    document: Object = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    if usage.cached is not None:
        document["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    return document
