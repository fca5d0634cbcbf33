"""Generated requests for the fuzzer: hypothesis strategies for whole requests, and a byte mutator. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from policies.json import JSON, Object
from tests.system.calls import ASKED, chat, streamed


@dataclass(frozen=True, slots=True)
class Shot:
    """Bytes to send. `framed`: they are one whole request, so an answer must come; else the sender half-closes."""

    data: bytes
    framed: bool


_METHODS = ("POST", "POST", "POST", "GET", "GET", "HEAD", "OPTIONS", "DELETE", "PUT", "TRACE", "get", "BREW")
_PATHS = (
    "/v1/chat/completions",
    "/v1/chat/completions",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/tokenize",
    "/v1/models",
    f"/v1/models/{ASKED}",
    "/v1/me",
    "/healthz",
    "/engines/v1/chat/completions",
    "/engines/fake/v1/models",
    "/engines/none/v1/models",
    "/v1/responses",
    "/v1/responses",
    "/v1/responses/input_tokens",
    f"/v1/responses/resp_{'0' * 32}",
    f"/v1/responses/resp_{'0' * 32}/input_items?limit=x&after=%ff",
    "/v1/messages",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/anthropic/v1/models",
    "/api/chat",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/show",
    "/api/ps",
    "/v1/../api/pull",
    "/v1/%2e%2e/x",
    "//v1/models",
    "/api/tags",
    "/",
    "*",
)
_LINES = (
    "Expect: 100-continue",
    "Expect: nothing",
    "Connection: close",
    "Connection: keep-alive, Host",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Content-Encoding: gzip",
    "Content-Type: text/plain",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Content-Length: 5",
    "Host: evil.example",
    "X-Forwarded-For: 1.2.3.4",
    "Cookie: a=b",
    "Origin: null",
    "Trailer: X-A",
    "TE: trailers",
    "X-Empty:",
    "X-Latin: \xe9\xe8",
    "X-Long: " + "a" * 5000,
    " folded",
    "no colon",
    "X-Nul: \0",
)
_NAMES = (
    "model",
    "messages",
    "stream",
    "max_tokens",
    "n",
    "temperature",
    "stop",
    "tools",
    "tool_choice",
    "response_format",
    "stream_options",
    "logit_bias",
    "seed",
    "user",
    "input",
    "prompt",
    "metadata",
    "system",
    "images",
    "options",
    "keep_alive",
    "raw",
    "suffix",
    "think",
    "format",
    "instructions",
    "previous_response_id",
    "include",
    "store",
    "reasoning",
    "text",
    "thinking",
    "type",
    "role",
    "content",
    "MODEL",
    "n_discard",
    "\u017ftream",
)

_GOOD: tuple[Object, ...] = (
    chat(),
    streamed(),
    {"model": ASKED, "input": "a"},
    {"model": ASKED, "prompt": "a"},
    {"model": ASKED, "prompt": "a", "raw": True, "options": {"num_predict": 3}},
    {"model": ASKED, "input": [{"role": "user", "content": "a"}], "stream": True},
    {"model": ASKED, "input": "a", "previous_response_id": f"resp_{'0' * 32}"},
    {"model": ASKED, "input": [{"type": "item_reference", "id": f"msg_{'0' * 32}_0"}]},
    {"model": ASKED, "max_tokens": 9, "system": "a", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
    {"model": ASKED, "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "stream": True},
    {"model": ASKED, "messages": [], "keep_alive": 0},
)

_WORDS = (
    ASKED, "auto", "stop", "", "user", "system", "text", "tool_use", "reasoning", "json_object", "function_call",
    "input_text", "5m", "aGk=", "\ud800", "\0", "a" * 300,
)  # fmt: skip

_scalars: st.SearchStrategy[JSON] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=True),
    st.text(max_size=12),
    st.sampled_from(_WORDS),
)
_values: st.SearchStrategy[JSON] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A request body: a good one, one with members changed, a repeated member, a cut, or anything at all."""
    kind = draw(st.sampled_from(("good", "changed", "changed", "changed", "repeated", "cut", "anything", "bytes")))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    if kind == "anything":
        return _dump(draw(_values))
    base = draw(st.sampled_from(_GOOD))
    if kind == "good":
        return _dump(base)
    changed = dict(base)
    for name in draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3)):
        changed[name] = draw(_values)
    text = _dump(changed)
    if kind == "repeated":
        return text[:-1] + b',"model":"other"}'
    return text[: draw(st.integers(0, len(text)))] if kind == "cut" else text


def _dump(document: JSON) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


@st.composite
def shots(draw: st.DrawFn, bearer: str) -> Shot:
    """One request, presented by the holder of `bearer` more often than not."""
    method, path = draw(st.sampled_from(_METHODS)), draw(st.sampled_from(_PATHS))
    credential = draw(st.sampled_from((bearer, bearer, bearer, bearer + "x", "", "x-api-key: lgw_no")))
    hostile = draw(st.lists(st.sampled_from(_LINES), max_size=2)) if draw(st.booleans()) else []
    body = draw(bodies()) if method not in {"GET", "HEAD"} else b""
    framing = draw(st.sampled_from(("length", "length", "length", "chunked", "wrong", "none")))
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", credential, "Content-Type: application/json", *hostile]
    if framing == "chunked" and body:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif framing != "none" or not body:
        lines.append(f"Content-Length: {len(body) + 7 * (framing == 'wrong')}")
    head = "\r\n".join([*(line for line in lines if line), "", ""]).encode("latin-1")
    return Shot(head + body, framed=framing in {"length", "chunked"} and not hostile and method != "HEAD")


def mutate(request: bytes, random: Random) -> Shot:
    """`request` with a few bytes flipped, cut, repeated or put in: never known to be whole."""
    data = bytearray(request)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                del data[at : at + random.randint(1, 20)]
            case 2:
                data[at:at] = data[at : at + random.randint(1, 40)]
            case 3:
                data[at:at] = random.choice((b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%2e", b"\xff", b"0x"))
            case _:
                data[at:at] = random.randbytes(random.randint(1, 8))
    return Shot(bytes(data), framed=False)
