"""Engines that fail: each script with the name of what it does, as tables for parametrised tests.

Sources: facts/engines.md section 0 rule 4 and section 2 (what real engines do wrong), facts/security.md 5.3 (what a
proxy gets wrong about its upstream).
"""

from __future__ import annotations

import json

from policies.json import JSON
from tests.system.scripts import (
    TALK,
    Fin,
    Hold,
    Reset,
    Script,
    Send,
    Step,
    Stream,
    always,
    chunk,
    completion,
    delta,
    head,
    usage_chunk,
    whole,
)

SECRET_DETAIL = "engine-path-/Users/somebody/models/secret.gguf"
"""Stands in every error text of the engine: none of it may reach a caller."""

_JSON = "Content-Type: application/json"
_DOCUMENT = json.dumps(completion()).encode()


def refusing(status: int, document: JSON | str, *lines: str) -> Script:
    """An error status with a body of this engine's shape."""
    return always(Send(whole(document, status, *lines)))


ERROR_SHAPES: dict[str, tuple[Script, set[int]]] = {
    "docker model runner, plain text 404": (refusing(404, f"model not found: {SECRET_DETAIL}"), {404, 502, 503}),
    "docker model runner, plain text 500": (refusing(500, f"unable to load runner: {SECRET_DETAIL}"), {502, 503}),
    "docker model runner, runner died": (
        refusing(500, {"type": "error", "code": None, "message": SECRET_DETAIL, "sequence_number": 1}),
        {502, 503},
    ),
    "empty 502": (always(Send(head(502, "Content-Length: 0"))), {502, 503}),
    "mlx, error as a string": (refusing(404, {"error": SECRET_DETAIL}), {400, 404, 502, 503}),
    "fastapi, detail string": (refusing(401, {"detail": SECRET_DETAIL}), {502, 503}),
    "fastapi, detail list": (refusing(422, {"detail": [{"loc": ["body"], "msg": SECRET_DETAIL}]}), {400}),
    "llama-server, loading": (
        refusing(503, {"error": {"code": 503, "message": SECRET_DETAIL, "type": "unavailable_error"}}),
        {503},
    ),
    "llama-server, context": (
        refusing(400, {"error": {"type": "exceed_context_size_error", "message": SECRET_DETAIL, "n_ctx": 5}}),
        {400},
    ),
    "openai, bad request": (
        refusing(400, {"error": {"message": SECRET_DETAIL, "type": "invalid_request_error", "code": None}}),
        {400},
    ),
    "rate limited": (refusing(429, {"error": {"message": SECRET_DETAIL}}, "Retry-After: 7"), {429, 503}),
    "own key refused": (refusing(403, {"error": {"message": SECRET_DETAIL}}), {502, 503}),
}
"""Name -> script, and the statuses a caller may see for it."""

BROKEN_ANSWERS: dict[str, Script] = {
    "closes before the head": always(Fin()),
    "resets before the head": always(Reset()),
    "half a status line": always(Send(b"HTTP/1.1 2"), Fin()),
    "half the headers": always(Send(b"HTTP/1.1 200 OK\r\nContent-Ty"), Fin()),
    "garbage status line": always(Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Fin()),
    "binary garbage": always(Send(bytes(range(256)) * 4), Fin()),
    "status 99": always(Send(head(99, _JSON, "Content-Length: 2") + b"{}")),
    "status 101": always(
        Send(head(101, "Upgrade: websocket", "Connection: Upgrade", reason="Switching Protocols") + b"\x81\x05hello")
    ),
    "redirect 307": always(
        Send(head(307, "Location: http://127.0.0.1:1/internal", "Content-Length: 0", reason="Temporary Redirect"))
    ),
    "redirect 302 with a body": always(
        Send(head(302, "Location: /v1/elsewhere", _JSON, f"Content-Length: {len(_DOCUMENT)}") + _DOCUMENT)
    ),
    "no content 204": always(Send(head(204, reason="No Content"))),
    "header of 1 MiB": always(Send(head(200, "X-Long: " + "a" * (1 << 20), _JSON, "Content-Length: 2") + b"{}"), Fin()),
    "endless headers": always(Send(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000), Fin()),
    "body shorter than its length": always(
        Send(head(200, _JSON, f"Content-Length: {len(_DOCUMENT) + 50}") + _DOCUMENT), Fin()
    ),
    "two different lengths": always(
        Send(head(200, _JSON, "Content-Length: 2", f"Content-Length: {len(_DOCUMENT)}") + _DOCUMENT), Fin()
    ),
    "negative length": always(Send(head(200, _JSON, "Content-Length: -5") + _DOCUMENT), Fin()),
    "truncated chunks": always(Send(head(200, _JSON, "Transfer-Encoding: chunked") + chunk(_DOCUMENT[:40])), Fin()),
    "invalid chunk size": always(
        Send(head(200, _JSON, "Transfer-Encoding: chunked") + b"zz\r\n" + _DOCUMENT + b"\r\n0\r\n\r\n"), Fin()
    ),
    "reset in the body": always(Send(head(200, _JSON, "Content-Length: 9000") + _DOCUMENT), Reset()),
    "half a document": always(Send(head(200, _JSON, "Content-Length: 40") + _DOCUMENT[:40])),
    "not JSON": always(Send(whole(f"<html>{SECRET_DETAIL}</html>"))),
    "a JSON array": always(Send(whole([1, 2, 3]))),
    "gzip it was not asked for": always(
        Send(
            head(200, _JSON, "Content-Encoding: gzip", "Content-Length: 10")
            + b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
        )
    ),
}
"""Non-streamed answers that are no answers: each must become a 502 with the constant text, never a 2xx."""

_GOOD_EVENTS = 2


def _after_a_good_start(*steps: Step) -> Script:
    """Two good events, then, once the test has seen them and calls `release()`, what goes wrong.

    Without the pause both may arrive in one read, and a gateway may then still answer with a plain 502.
    """
    return always(*Stream().until(_GOOD_EVENTS, Hold(), *steps))


_DETAIL = SECRET_DETAIL.encode()

BROKEN_STREAMS: dict[str, Script] = {
    "closes mid-stream": _after_a_good_start(Fin()),
    "resets mid-stream": _after_a_good_start(Reset()),
    "ends the body without a terminal event": _after_a_good_start(Send(chunk(b""))),
    "close-delimited, no terminal event": always(*Stream(close=True).until(_GOOD_EVENTS, Hold(), Fin())),
    "dies inside an event": _after_a_good_start(Send(chunk(b'data: {"id":"x","choi')), Fin()),
    "dies inside a chunk": _after_a_good_start(Send(b"400\r\ndata: {"), Fin()),
    "ends inside an event": _after_a_good_start(Send(chunk(b'data: {"id":"x","choi') + chunk(b""))),
    "invalid chunk size": _after_a_good_start(Send(b"zz\r\noops\r\n"), Fin()),
    "error event, then [DONE]": _after_a_good_start(
        Send(chunk(b'data: {"error":{"message":"%s","type":"x","code":500}}\n\n' % _DETAIL)),
        Send(chunk(b"data: [DONE]\n\n") + chunk(b"")),
    ),
    "error event as a string": _after_a_good_start(
        Send(chunk(b'data: {"error":"%s"}\n\n' % _DETAIL) + chunk(b"")),
    ),
    "error line of an old llama-server": _after_a_good_start(
        Send(chunk(b'error: {"message":"%s"}\n\n' % _DETAIL) + chunk(b"")),
    ),
    "a line that is not JSON": _after_a_good_start(Send(chunk(b"data: %s\n\n" % _DETAIL) + chunk(b""))),
    "an event of 32 MiB": _after_a_good_start(Send(chunk(b"data: " + b"a" * (32 << 20))), Fin()),
}
"""Streams that begin well and go wrong: each must end with an error event, never with a clean end."""

REASONING: dict[str, Stream] = {
    "reasoning": Stream(chunks=(TALK[0], delta(reasoning="hmm"), *TALK[1:])),
    "reasoning_content": Stream(chunks=(TALK[0], delta(reasoning_content="hmm"), *TALK[1:])),
}
"""The two names engines have for the same thing."""

VARIANTS: dict[str, Stream] = {
    "plain": Stream(),
    "CRLF framing": Stream(newline=b"\r\n"),
    "split at every byte": Stream(split=1),
    "CRLF, split at every byte": Stream(newline=b"\r\n", split=1),
    "split in threes": Stream(split=3),
    "all events in one block": Stream(split=-1),
    "close-delimited": Stream(close=True),
    "comments between": Stream(before=b": keepalive 12/345\n\n"),
    "comment lines inside events": Stream(before=b": ping - 2026-11-21 00:00:00\n"),
    "id and event lines": Stream(before=b"id: 5\nevent: message\nretry: 10\n"),
    "no [DONE] after finish_reason": Stream(done=False),
    "no usage": Stream(usage=False),
    "two usage chunks": Stream(usages=[usage_chunk({"prompt_tokens": 7, "completion_tokens": 1}), usage_chunk()]),
    "usage on every chunk": Stream(chunks=[{**c, "usage": usage_chunk()["usage"]} for c in TALK]),
    "timings in the last chunk": Stream(
        chunks=[*TALK[:-1], {**TALK[-1], "timings": {"cache_n": 2, "prompt_n": 5, "predicted_n": 3}}], usage=False
    ),
    "usage null on every chunk": Stream(chunks=[{**c, "usage": None} for c in TALK]),
}
"""Streams that are fine, in all the ways engines write them: each must reach the caller as the same text."""
