"""From where a model may come. Pure.

A name may begin with the host to fetch from: `huggingface.co/org/repo`, but also `10.0.0.5:5000/x/y`. Engines go there,
from their own place in the network, and load what they find (facts/engines.md: CVE-2026-5843). So a caller names no
host that the configuration does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policies.errors import Refusal
from policies.names import canonical
from policies.reasons import Reason

_OF_A_HOST: Final = ".:@"
_HUB: Final = 2
"""Parts that a name has at most in an engine's own registry: `somebody/model`."""


def registry(name: str) -> str:
    """The host that `name` (`policies.names.is_name`) begins with; "" = the engine's own registry.

    Engines do not agree: to Docker the first part is a host if it has `.` or `:` or is `localhost`, to Ollama if there
    are three. What is one to any of them is one here.
    """
    first, *rest = canonical(name).split("/")
    if not rest:
        return ""
    named = len(rest) >= _HUB or first == "localhost" or any(sign in first for sign in _OF_A_HOST)
    return first if named else ""


def check_source(name: str, allowed: Iterable[str]) -> None:
    """Refusal(REGISTRY_NOT_PERMITTED) unless `name` comes from an engine's own registry or an `allowed` host."""
    host = registry(name)
    if host and host not in {registry(f"{each}/x/y") for each in allowed}:
        raise Refusal(Reason.REGISTRY_NOT_PERMITTED)
