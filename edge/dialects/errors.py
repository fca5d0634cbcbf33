"""The one place where an error becomes an answer, in the caller's dialect (DESIGN section 3; facts/clients.md 4).

Every body is built from constants of ours: the reason's text, a known parameter's name, a request id of ours.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Final, assert_never

import orjson

from policies.call import Dialect
from policies.errors import GatewayError
from policies.json import Object
from policies.reasons import Cause

JSON_TYPE: Final = "application/json"
_PLAIN: Final = "text/plain; charset=utf-8"
ANTHROPIC_REQUEST_ID: Final = "request-id"
"""The name under which Anthropic's SDKs look for it."""
_PATIENCE: Final = 60.0

_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def render(error: GatewayError, dialect: Dialect, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of `error`.

    `x-should-retry: false` is what stops the SDKs and Claude Code after one POST; without it Claude Code was seen to
    retry even a 401 for 45 s (facts/clients.md finding 3). `retry-after` is whole seconds, rounded up.
    """
    cause = error.cause
    headers = {"content-type": JSON_TYPE, "x-request-id": request_id, **error.headers}
    if not cause.retry or _in_vain(error):
        headers["x-should-retry"] = "false"
    if cause.retry and error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if dialect is Dialect.ANTHROPIC:
        headers[ANTHROPIC_REQUEST_ID] = request_id
    if cause.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if dialect is Dialect.MODEL_RUNNER:  # Go's http.Error, which its clients print as it is
        return cause.status, headers | {"content-type": _PLAIN}, f"{_coded(error)}\n".encode()
    return cause.status, headers, orjson.dumps(body(error, dialect, request_id))


def _in_vain(error: GatewayError) -> bool:
    """Whether a limit does not free while a program waits for it: SDKs obey `retry-after` up to a minute, and beyond it
    come back at once."""
    limited = error.cause.status == HTTPStatus.TOO_MANY_REQUESTS
    return limited and (error.retry_after is None or error.retry_after > _PATIENCE)


def body(error: GatewayError, dialect: Dialect, request_id: str) -> Object:
    """The error document of each dialect; also what goes into a stream that breaks."""
    cause = error.cause
    match dialect:
        case Dialect.OPENAI | Dialect.RESPONSES:
            return {"error": _openai(error, cause)}
        case Dialect.ANTHROPIC:
            kind = _ANTHROPIC_TYPES.get(
                cause.status,
                "api_error" if cause.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error",
            )
            return {"type": "error", "error": {"type": kind, "message": _coded(error)}, "request_id": request_id}
        case Dialect.OLLAMA:
            return {"error": _coded(error)}
        case Dialect.MODEL_RUNNER:
            return {"type": "error", "message": _coded(error)}
    assert_never(dialect)


def _openai(error: GatewayError, cause: Cause) -> Object:
    return {"message": error.text, "type": cause.kind, "param": error.param, "code": error.reason.value}


def _coded(error: GatewayError) -> str:
    """The text with the parameter and the reason's code, for dialects that have no fields for them."""
    named = f"{error.param}: " if error.param else ""
    return f"{named}{error.text} ({error.reason.value})"


def error_event(error: GatewayError) -> Object:
    """The members of an `error` event of Responses; `error` is what OpenAI's SDKs raise for."""
    said = _openai(error, error.cause)
    return {"code": said["code"], "message": said["message"], "param": said["param"], "error": said}


def stream_error(error: GatewayError, dialect: Dialect, request_id: str) -> bytes:
    """The event that makes the caller's SDK raise: an end of file alone reads as success in every SDK tried
    (facts/clients.md finding 2)."""
    document = orjson.dumps(body(error, dialect, request_id))
    match dialect:
        case Dialect.OPENAI:
            return b"data: " + document + b"\n\n"
        case Dialect.RESPONSES:
            said: Object = {"type": "error", "sequence_number": 0, **error_event(error)}
            return b"event: error\ndata: " + orjson.dumps(said) + b"\n\n"
        case Dialect.ANTHROPIC:
            return b"event: error\ndata: " + document + b"\n\n"
        case Dialect.OLLAMA | Dialect.MODEL_RUNNER:
            return document + b"\n"
    assert_never(dialect)
