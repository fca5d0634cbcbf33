"""The strict reading of a request head: pure, one branch per rule, each with the sentence it enforces.

llhttp has already refused what is not HTTP at all. It still lets through what two parties can read differently
(facts/security.md 5.2: `Content-Length: 0200`, an empty Transfer-Encoding, Host with a path, `Transfer_Encoding`...).
Where RFC 9112 lets a recipient repair or reject, this gateway rejects: it has no legacy clients to please, and every
client of facts/clients.md passes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from edge.listener.hosts import HostPolicy, split_host
from edge.listener.limits import ListenerLimits
from edge.listener.target import Target
from policies.errors import Refusal
from policies.reasons import Reason

Field: TypeAlias = tuple[bytes, bytes]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What some route could have. llhttp knows forty more (PURGE, M-SEARCH...); CONNECT and TRACE are refused too."""
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_NAMED_IN_BODY: Final = frozenset({"/api/delete"})
"""Paths on which DELETE has a body, in one piece, since Ollama's clients say there what to delete."""

# RFC 9110 5.6.2: token = 1*tchar.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
# RFC 9110 5.5: "field values containing CR, LF, or NUL characters are invalid and dangerous"; of "other CTL characters"
# only HTAB is kept, and obs-text is refused, since no header that we read may hold any.
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*", re.ASCII)
# RFC 9110 8.6: Content-Length = 1*DIGIT. One spelling per number: "0200" is 200 here and 128 elsewhere.
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)

SINGLE: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "content-type",
        "content-encoding",
        "authorization",
        "x-api-key",
        "expect",
        "upgrade",
    }
)
"""Fields that decide how a message is read or who sent it: one of each, or none."""
_GUARDED: Final = SINGLE | {
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "proxy-authorization",
    "forwarded",
    "x-real-ip",
}
# RFC 9110 7.6.1: fields for the next hop only. They say nothing to the stages behind the listener.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)


class Head(NamedTuple):
    """A request head that has one reading. `length` is the declared size of the body in bytes, 0 if none or chunked."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    http10: bool
    length: int
    chunked: bool
    expects: bool
    keep_alive: bool

    @property
    def has_body(self) -> bool:
        return self.chunked or self.length > 0


def check_head(
    method: str,
    target: Target,
    version: tuple[int, int],
    fields: Sequence[Field],
    *,
    hosts: HostPolicy,
    limits: ListenerLimits,
) -> Head:
    """Check a head whose target is checked already. `fields` are raw names and values without surrounding whitespace.

    Raises Refusal: MALFORMED_REQUEST, HEADERS_TOO_LARGE, UNKNOWN_HOST or UNSUPPORTED_EXPECTATION.
    """
    # RFC 9112 2.3: HTTP-version = "HTTP/" DIGIT "." DIGIT. 0.9 has no headers and 2.0 no text form; llhttp reads both.
    if version not in {(1, 1), (1, 0)} or method not in METHODS:
        raise Refusal(Reason.MALFORMED_REQUEST)
    http10 = version == (1, 0)
    headers = read_fields(fields, limits)
    _check_host(headers, target.authority, hosts)
    length, chunked = _framing(method, target.path, headers, http10=http10)
    expects = _expects(headers, http10=http10) and (chunked or length > 0)
    keep_alive = _connection(headers) and not http10
    if not _HOP_BY_HOP.isdisjoint(headers):
        for name in _HOP_BY_HOP:
            headers.pop(name, None)
    return Head(method, target.path, target.query, headers, http10, length, chunked, expects, keep_alive)


def read_fields(fields: Sequence[Field], limits: ListenerLimits) -> dict[str, str]:
    """Names in lower case -> values; repeated fields joined as RFC 9110 5.3 says, or refused if `SINGLE`."""
    if len(fields) > limits.header_count:
        raise Refusal(Reason.HEADERS_TOO_LARGE)
    headers: dict[str, str] = {}
    for raw, value in fields:
        if len(raw) + len(value) > limits.header_bytes:
            raise Refusal(Reason.HEADERS_TOO_LARGE)
        name = _name(raw)
        text = value.decode("latin-1")
        # For ASCII text, isprintable() is the range 0x20-0x7E at a tenth of the regex's price; tabs are rare.
        if not (text.isascii() and (text.isprintable() or _VALUE.fullmatch(text))):
            raise Refusal(Reason.MALFORMED_REQUEST)
        if not name:
            continue
        if name in headers:
            # RFC 9110 5.3: "a sender MUST NOT generate multiple field lines with the same name" unless it is a list.
            if name in SINGLE:
                raise Refusal(Reason.MALFORMED_REQUEST)
            text = f"{headers[name]}, {text}"
        headers[name] = text
    return headers


@lru_cache(maxsize=1024)  # clients send the same dozen spellings for ever; a peer can only turn the cache over
def _name(raw: bytes) -> str:
    """The name in lower case, or "" for a field to be dropped."""
    name = raw.decode("latin-1").lower()
    if _TOKEN.fullmatch(name) is None:
        raise Refusal(Reason.MALFORMED_REQUEST)
    if "_" not in name:
        return name
    # CGI-style stacks read `X_Forwarded_User` as `X-Forwarded-User` (oauth2-proxy, CVE-2025-64484). Such a twin of a
    # field that matters is an attack; any other is dropped, as nginx does (underscores_in_headers off).
    twin = name.replace("_", "-")
    if twin in _GUARDED or twin.startswith("x-forwarded-"):
        raise Refusal(Reason.MALFORMED_REQUEST)
    return ""


def _check_host(headers: dict[str, str], authority: str, hosts: HostPolicy) -> None:
    # RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    # lacks a Host header field and to any request message that contains more than one Host header field line or a Host
    # header field with an invalid field value." Stricter: HTTP/1.0 needs it too, the rebinding guard has nothing else.
    value = headers.get("host", "")
    host = split_host(value)
    if host is None:
        raise Refusal(Reason.MALFORMED_REQUEST)
    # RFC 9112 3.2.2: with absolute-form "the origin server MUST ignore the received Host header field (if any) and
    # instead use the host information of the request-target". Two that differ ask whom? Only equal ones pass.
    if authority and authority.lower() != value.lower():
        raise Refusal(Reason.MALFORMED_REQUEST)
    if not hosts.allows(host):
        raise Refusal(Reason.UNKNOWN_HOST)


def _framing(method: str, path: str, headers: dict[str, str], *, http10: bool) -> tuple[int, bool]:
    """Declared length and whether chunked: RFC 9112 6.3 with every ambiguous case refused."""
    length = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    # RFC 9112 6.5: trailers may be merged into the header section or dropped, "MUST NOT" be unless known safe. None is.
    if "trailer" in headers:
        raise Refusal(Reason.MALFORMED_REQUEST)
    if coding is not None:
        # RFC 9112 6.1: a message with both "ought to be handled as an error"; "a server ... that receives an HTTP/1.0
        # message containing a Transfer-Encoding ... MUST treat the message as if the framing is faulty"; and codings
        # other than one final `chunked` are ones we do not implement ("SHOULD respond with 501").
        if length is not None or http10 or coding.lower() != "chunked" or method in _BODILESS:
            raise Refusal(Reason.MALFORMED_REQUEST)
        return 0, True
    if length is None:
        return 0, False
    if _LENGTH.fullmatch(length) is None:
        raise Refusal(Reason.MALFORMED_REQUEST)
    # RFC 9110 9.3.1: "content received in a GET request has no generally defined semantics ... and might lead some
    # implementations to reject the request and close the connection because of its potential as a request smuggling
    # attack". The same of HEAD (9.3.2) and DELETE (9.3.5).
    size = int(length)
    if size and method in _BODILESS and not (method == "DELETE" and path in _NAMED_IN_BODY):
        raise Refusal(Reason.MALFORMED_REQUEST)
    return size, False


def _expects(headers: dict[str, str], *, http10: bool) -> bool:
    # RFC 9110 10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY
    # respond with a 417"; "a 100-continue expectation in an HTTP/1.0 request MUST [be] ignore[d]".
    expect = headers.pop("expect", None)
    if expect is None:
        return False
    if expect.lower() != "100-continue":
        raise Refusal(Reason.UNSUPPORTED_EXPECTATION)
    return not http10


def _connection(headers: dict[str, str]) -> bool:
    """Whether the connection may be kept; removes the fields that `Connection` nominates (RFC 9110 7.6.1)."""
    value = headers.get("connection")
    if value is None:
        return True
    options = {option.strip().lower() for option in value.split(",")}
    # "A sender MUST NOT send a connection option corresponding to a field that is intended for all recipients." Naming
    # one made a proxy strip its own security header (Fabio, CVE-2025-48865).
    if not options.isdisjoint(SINGLE - {"upgrade"}):
        raise Refusal(Reason.MALFORMED_REQUEST)
    for option in options - {"close", "keep-alive"}:
        headers.pop(option, None)
    return "close" not in options
