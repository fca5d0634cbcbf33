"""The request target: one canonical path and a raw query, or nothing.

Rules written for `/v1/` were walked round with `/v1/../api/pull`, `//api/pull` and `/%76%31/models` (F1), because two
parties read one path differently. Here a path has one spelling: nothing to normalise, nothing to differ on.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from policies.errors import Refusal
from policies.reasons import Reason

# RFC 3986 3.3: pchar = unreserved / pct-encoded / sub-delims / ":" / "@"; percent-encoding apart, see below.
_PCHAR: Final = r"[A-Za-z0-9\-._~!$&'()*+,;=:@]"
# RFC 3986 5.2.4 would have "." and ".." removed, which is where readers differ; the look-ahead refuses them. A segment
# is never empty, except behind the last "/".
_SEGMENT: Final = rf"(?!\.{{1,2}}(?:/|\Z)){_PCHAR}+"
_PATH: Final = re.compile(rf"/(?:{_SEGMENT}/)*(?:{_SEGMENT})?", re.ASCII)
# SDKs put a model's name through encodeURIComponent: `GET /v1/models/ai%2Fllama3.2%3A3B`. These four are all that a
# name can need, in the upper case that RFC 3986 2.1 calls normal, and only behind a `/models/`.
_ESCAPES: Final = {"%2F": "/", "%3A": ":", "%40": "@", "%2B": "+"}
_ESCAPE: Final = re.compile(r"%(?:2F|3A|40|2B)")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*", re.ASCII)
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(/[^\s]*)", re.ASCII)


class Target(NamedTuple):
    """A checked request target. `authority` is "" unless it came in absolute form, and must then equal `Host`."""

    path: str
    query: str
    authority: str


@lru_cache(maxsize=256)  # there are a dozen routes; only canonical targets are kept
def parse_target(raw: str) -> Target:
    """Check the request target `raw` (RFC 9112 3.2). Raises Refusal(MALFORMED_REQUEST).

    Authority form (CONNECT) and asterisk form (OPTIONS *) mean nothing to a gateway with a closed list of routes.
    """
    authority = ""
    if not raw.startswith("/"):
        # RFC 9112 3.2.2: "a server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will
        # only send the absolute-form to a proxy."
        match = _ABSOLUTE.fullmatch(raw)
        if match is None or not match[1]:
            raise Refusal(Reason.MALFORMED_REQUEST)
        authority, raw = match[1], match[2]
    path, _, query = raw.partition("?")
    # A fragment is never sent (RFC 9110 7.1: "the target URI excludes the reference's fragment component"); neither
    # pattern has "#" in it.
    if not _canonical(path) or _QUERY.fullmatch(query) is None:
        raise Refusal(Reason.MALFORMED_REQUEST)
    return Target(path, query, authority)


def _canonical(path: str) -> bool:
    escape = path.find("%")
    if escape < 0:
        return _PATH.fullmatch(path) is not None
    models = path.find("/models/")
    if not 0 <= models < escape:
        return False
    # Judged as if decoded too, so that `/v1/models/..%2F..%2Fapi` hides no dot segment. What is left of `%` fails.
    return _PATH.fullmatch(_ESCAPE.sub(lambda m: _ESCAPES[m[0]], path)) is not None
