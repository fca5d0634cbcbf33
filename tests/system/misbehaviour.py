"""Engines that fail: each script with the name of what it does, as tables for parametrised tests.

Sources: facts/engines.md section 0 rule 4 and section 2 (what real engines do wrong), facts/security.md 5.3 (what a
proxy gets wrong about its upstream).
"""

from __future__ import annotations

import json

from policies.json import JSON, Object
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

_UVICORN_ENDS: Step = Send(chunk(b""))


def _events(*payloads: bytes) -> Step:
    return Send(b"".join(chunk(payload + b"\n\n") for payload in payloads))


GIVEN_UP: dict[str, Script] = {
    "llama-server: an error object, nothing more": _after_a_good_start(
        _events(b'data: {"error":{"code":500,"message":"%s","type":"server_error"}}' % _DETAIL)
    ),
    "llama-server of old: an error line": _after_a_good_start(
        _events(b'error: {"code":500,"message":"%s","type":"server_error"}' % _DETAIL)
    ),
    "vLLM: an error object, then [DONE]": _after_a_good_start(
        _events(
            b'data: {"error":{"message":"%s","type":"InternalServerError","param":null,"code":500}}' % _DETAIL,
            b"data: [DONE]",
        ),
        _UVICORN_ENDS,
    ),
    "vLLM: aborted": _after_a_good_start(
        _events(b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}', b"data: [DONE]"),
        _UVICORN_ENDS,
    ),
    "Ollama: a bare error document, an empty chunk, no [DONE]": _after_a_good_start(
        Send(chunk(b'{"error":{"message":"%s","type":"api_error","param":null,"code":null}}\n' % _DETAIL)),
        _events(b'data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}'),
        _UVICORN_ENDS,
    ),
    "mlx-lm: the connection, gone": always(*Stream(close=True).until(_GOOD_EVENTS, Hold(), Fin())),
    "Docker Model Runner: its own error's object": _after_a_good_start(
        _events(b'data: {"type":"error","code":null,"message":"%s","param":null,"sequence_number":1}' % _DETAIL),
        _UVICORN_ENDS,
    ),
    "Docker Model Runner: the log of its engine, as text": _after_a_good_start(
        Send(chunk(b"unable to load runner: %s\n" % _DETAIL)), _UVICORN_ENDS
    ),
    "LM Studio: an event of its own": _after_a_good_start(
        _events(b'event: error\ndata: {"error":{"message":"%s"}}' % _DETAIL), _UVICORN_ENDS
    ),
    "LM Studio: cut in the middle": _after_a_good_start(_UVICORN_ENDS),
    "llama-cpp-python: interrupted with a normal [DONE]": _after_a_good_start(_events(b"data: [DONE]"), _UVICORN_ENDS),
    "llama-cpp-python: an error as data": _after_a_good_start(
        _events(b'data: {"error":{"message":"%s","type":"internal_server_error","param":null,"code":null}}' % _DETAIL),
        _UVICORN_ENDS,
    ),
}
"""How each kind of engine gives an answer up in its middle (facts/engines.md section 0 rule 4, and section 2)."""

_LONG = 10 << 20


def _call(index: int, arguments: str | None, name: str | None = None) -> Object:
    function: Object = {} if arguments is None else {"arguments": arguments}
    more: Object = (
        {"function": function} if name is None else {"id": f"c{index}", "function": {**function, "name": name}}
    )
    return delta(tool_calls=[{"index": index, "type": "function", **more}])


def _half(text: str) -> Script:
    """An event that ends within a character, for ever."""
    data = b'data: {"choices":[{"index":0,"delta":{"content":"' + text.encode()[:-1]
    return _after_a_good_start(Send(chunk(data + b'"}}]}\n\n')), Send(chunk(b"")))


NONSENSE: dict[str, Script] = {
    **{name: BROKEN_STREAMS[name] for name in ("dies inside an event", "a line that is not JSON")},
    "half a character, and no other half": _half("日"),
    "one event of 10 MiB": _after_a_good_start(
        *Stream(chunks=[delta(content="a" * _LONG), delta(finish="stop")]).steps()[1:]
    ),
    "[DONE] before the end": _after_a_good_start(_events(b"data: [DONE]", b'data: {"choices":[]}'), _UVICORN_ENDS),
    "a piece of a call before its name": _after_a_good_start(
        *Stream(chunks=[_call(0, "{"), _call(0, "}", "f"), delta(finish="tool_calls")]).steps()[1:]
    ),
    "an event that is a list": _after_a_good_start(_events(b'data: [{"choices":[]}]'), _UVICORN_ENDS),
    "an event nested too deeply": _after_a_good_start(
        _events(b'data: {"choices":' + b"[" * 2000 + b"]" * 2000 + b"}"), _UVICORN_ENDS
    ),
}
"""What is no answer, however it is looked at."""

ODD: dict[str, Stream] = {
    "empty deltas": Stream(chunks=[TALK[0], delta(), TALK[1], delta(content=""), delta(content=None), *TALK[2:]]),
    "no choices, and null ones": Stream(chunks=[{"choices": []}, TALK[1], {"id": "x", "choices": None}, *TALK[2:]]),
    "half characters": Stream(chunks=[delta(content="Hello"), delta(content=" there"), delta(finish="stop")], split=1),
    "usage first": Stream(chunks=[usage_chunk(), *TALK]),
    "text behind the end": Stream(chunks=[TALK[1], delta(finish="stop"), TALK[2]]),
    "two ends": Stream(chunks=[*TALK, delta(finish="stop")]),
    "no role": Stream(chunks=TALK[1:]),
    "10 MiB of events in one block": Stream(before=b": " + b"x" * (_LONG // 5) + b"\n\n", split=-1),
}
"""Answers that are odd and whole: their text is `Hello there`."""

ARGUMENTS: dict[str, Stream] = {
    "no JSON": Stream(chunks=[_call(0, "{nonsense", "f"), delta(finish="tool_calls")]),
    "no object": Stream(chunks=[_call(0, "[1]", "f"), delta(finish="tool_calls")]),
    "half an object": Stream(chunks=[_call(0, '{"a":', "f"), delta(finish="stop")]),
}
"""Calls whose arguments are none."""

IN_TURNS: Stream = Stream(
    chunks=[_call(0, "{}", "f"), _call(1, "{", "g"), _call(0, " "), _call(1, "}"), delta(finish="tool_calls")]
)
"""Pieces of two calls, by turns."""

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
