"""The one extractor for every header spelling. Pure.

A second extractor is a second door: Open WebUI skipped a key's endpoint restriction when it came in `x-api-key`
(CVE-2026-45339). Nothing is ever read from the URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from policies.errors import Refusal
from policies.reasons import Reason

MAX_CREDENTIAL: Final = 8192
# RFC 9110 11.1: the scheme is case-insensitive; 11.4 wants one space, real clients send more.
_BEARER: Final = re.compile(r"bearer(?: +(.*))?", re.ASCII | re.IGNORECASE)
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)


def credential(headers: Mapping[str, str]) -> str:
    """The request's one credential: visible ASCII, at most 8 KiB. `headers` has lower-case names.

    Raises Refusal: MISSING_CREDENTIAL if there is none; INVALID_CREDENTIAL if two differ, the scheme is not Bearer, or
    the bytes cannot be a credential. An empty value is none: people are told to set ANTHROPIC_API_KEY to the empty
    string beside a bearer token, and the SDK then sends both headers.
    """
    found = {_bearer(headers.get("authorization", "")), headers.get("x-api-key", "").strip(" \t")} - {""}
    if not found:
        raise Refusal(Reason.MISSING_CREDENTIAL)
    if len(found) > 1:
        raise Refusal(Reason.INVALID_CREDENTIAL, detail="two different credentials")
    text = found.pop()
    # Non-ASCII is refused before any comparison: compare_digest and encode() raise on it, which would be a 500.
    if len(text) > MAX_CREDENTIAL or _VISIBLE.fullmatch(text) is None:
        raise Refusal(Reason.INVALID_CREDENTIAL, detail="not a credential: too long, or not visible ASCII")
    return text


def _bearer(value: str) -> str:
    value = value.strip(" \t")
    if not value:
        return ""
    match = _BEARER.fullmatch(value)
    if match is None:
        raise Refusal(Reason.INVALID_CREDENTIAL, detail="the authorization scheme is not Bearer")
    return (match[1] or "").strip(" \t")
