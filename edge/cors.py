"""What a browser is told about requests of other origins' pages (WHATWG Fetch, "CORS protocol"). Pure.

CORS protects nobody from programs, and is no permission: every request still needs its key, and policies know nothing
of origins. It says which sites' scripts may read our answers, in a browser that has reached us for whatever reason (a
laptop in the LAN, a tunnel, this machine). So it is off, and what is on is a list of exact origins: no `*`, no patterns
(`https://example.com.evil.org` has passed many a one), no `null` (every sandboxed frame and `file:` page is that).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from edge.config.settings import Cors
from edge.intake.routes import Routes, is_health
from edge.listener.inbound import Inbound

ALLOW_ORIGIN: Final = "access-control-allow-origin"
# "Access-Control-Allow-Credentials" is never said: it is for cookies, and keys come in headers that scripts set.
_METHODS: Final = ("GET", "POST", "DELETE", "HEAD")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]{1,64}", re.ASCII)
_HEADERS: Final = frozenset(
    {
        # what the gateway reads
        *("authorization", "x-api-key", "content-type", "anthropic-version", "traceparent", "tracestate"),
        # what clients send beside it: OpenAI's and Anthropic's SDKs for browsers, OpenRouter's habits, frameworks
        *("accept", "anthropic-beta", "anthropic-dangerous-direct-browser-access", "baggage", "cache-control"),
        *("http-referer", "idempotency-key", "last-event-id", "openai-beta", "openai-organization", "openai-project"),
        *("user-agent", "x-client-request-id", "x-request-id", "x-requested-with", "x-title"),
    }
)
_FAMILY: Final = "x-stainless-"
"""The SDKs' reports about themselves; their number grows with each release."""
_OURS: Final = frozenset({"request-id", "retry-after"})
"""Headers of answers that scripts want beside those in x-: which the browser hides unless they are named."""


class CrossOrigin:
    """The rules of one listener."""

    def __init__(self, settings: Cors) -> None:
        self._origins = frozenset(settings.origins)
        self._age = str(round(settings.max_age))

    def answer(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What every answer to a request with `headers` says, refusals too: else a browser hides even why."""
        said = {"vary": "origin"}  # also without one: a cache must not hand this answer to a page
        if (origin := headers.get("origin")) in self._origins and origin is not None:
            said[ALLOW_ORIGIN] = origin
        return said

    def preflight(self, inbound: Inbound, routes: Routes) -> dict[str, str] | None:
        """The headers of the answer to a browser's question whether it may ask. None if this is no such question, if it
        comes from another origin's page, or if there is no such route: then it is a request like any other, and has no
        key.

        It tells nothing but which routes exist, and those are a closed list that anybody can read.
        """
        method, path, headers = inbound.method, inbound.path, inbound.headers
        wanted = headers.get("access-control-request-method")
        if method != "OPTIONS" or wanted is None or headers.get("origin") not in self._origins:
            return None
        methods = [each for each in _METHODS if is_health(each, path) or routes.match(each, path) is not None]
        if wanted not in methods:
            return None
        said = {"access-control-allow-methods": ", ".join(methods), "access-control-max-age": self._age}
        if allowed := ", ".join(_allowed(headers.get("access-control-request-headers", ""))):
            said["access-control-allow-headers"] = allowed
        # Chromium asks this way whether a page of the internet may reach a private address (Private Network Access,
        # where it is on). Who lists an origin has said so.
        if headers.get("access-control-request-private-network") == "true":
            said["access-control-allow-private-network"] = "true"
        return said


def _allowed(asked: str) -> Iterable[str]:
    """Those of the headers asked for that a page may send; each once."""
    for name in dict.fromkeys(part.strip(" \t").lower() for part in asked.split(",")):
        if name in _HEADERS or (name.startswith(_FAMILY) and _TOKEN.fullmatch(name)):
            yield name


def exposed(headers: Mapping[str, str]) -> str:
    """The names of an answer's headers that a script may read: limits, ids, what the policy added."""
    return ", ".join(name for name in headers if name.startswith("x-") or name in _OURS)
