"""What the recording engine says: scripts as data. Pure; `recording_engine` plays them.

A `Script` looks at the request and returns the steps to play: bytes to send, pauses, and ways to end. The well-behaved
ones answer as an OpenAI-compatible engine does; the others do what facts/engines.md section 2 says real engines do, and
what a hostile one could.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from policies.json import JSON, Object, as_list, as_object, as_str

MODEL = "Org/Tiny-Model-Q4"
PRIVATE_MODEL = "Org/Private-Model-Q4"
ECHOED = "/srv/engine/models/tiny.gguf"
"""What the engine calls its model in answers: mlx_lm echoes a local path, which callers must never see."""

USAGE: Object = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Drip:
    """Write these bytes `size` at a time, `gap` seconds apart."""

    data: bytes
    size: int = 1
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Hold:
    """Say nothing until the test calls `release()` or the peer leaves."""


@dataclass(frozen=True, slots=True)
class Fin:
    """End the connection politely."""


@dataclass(frozen=True, slots=True)
class Reset:
    """End the connection with a RST."""


Step: TypeAlias = Send | Drip | Hold | Fin | Reset


class Asked(Protocol):
    """What a script may look at."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def document(self) -> Object: ...


Script: TypeAlias = Callable[[Asked], Sequence[Step]]


def always(*steps: Step) -> Script:
    """The same steps whatever was asked."""
    return lambda _: steps


def head(status: int, *lines: str, reason: str = "OK") -> bytes:
    """A status line and header lines."""
    return "\r\n".join((f"HTTP/1.1 {status} {reason}", *lines, "", "")).encode("latin-1")


def whole(document: JSON | str, status: int = 200, *lines: str) -> bytes:
    """A complete answer: JSON, or text/plain when `document` is a string."""
    kind = "text/plain; charset=utf-8" if isinstance(document, str) else "application/json"
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    return head(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *lines) + body


def chunk(data: bytes) -> bytes:
    """One HTTP chunk; of nothing, the terminating one."""
    return b"%x\r\n%s\r\n" % (len(data), data)


# -- well-behaved answers --------------------------------------------------------------------------------------------


def completion(text: str = "Hello there", **extra: JSON) -> Object:
    """A chat completion, not streamed."""
    message: Object = {"role": "assistant", "content": text}
    choice: Object = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-engine-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": ECHOED,
        "choices": [choice],
        "usage": USAGE,
        **extra,
    }


def text_completion(text: str = "Hello there") -> Object:
    """A text completion, not streamed."""
    choice: Object = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    return {**completion(), "id": "cmpl-engine-1", "object": "text_completion", "choices": [choice]}


def embeddings(count: int) -> Object:
    """`count` vectors of three numbers."""
    rows: list[JSON] = [{"object": "embedding", "index": i, "embedding": [0.25, -0.5, float(i)]} for i in range(count)]
    return {"object": "list", "model": ECHOED, "data": rows, "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def listing(*models: str) -> Object:
    """An OpenAI model list."""
    rows: list[JSON] = [{"id": m, "object": "model", "created": 1700000000, "owned_by": "engine"} for m in models]
    return {"object": "list", "data": rows}


def _looked_up(route: str) -> JSON:
    """What a GET of `models` or `models/NAME` answers."""
    return as_list(listing(route.removeprefix("models/"))["data"])[0] if "/" in route else listing(MODEL, PRIVATE_MODEL)


def delta(index: int = 0, finish: str | None = None, **fields: JSON) -> Object:
    """One chat chunk with one choice."""
    choice: Object = {"index": index, "delta": dict(fields), "finish_reason": finish}
    return {**_frame(), "choices": [choice]}


def _frame() -> Object:
    return {"id": "chatcmpl-engine-1", "object": "chat.completion.chunk", "created": 1700000000, "model": ECHOED}


def usage_chunk(usage: Object | None = None) -> Object:
    """The trailing chunk that carries only usage."""
    return {**_frame(), "choices": [], "usage": usage or USAGE}


TALK: tuple[Object, ...] = (
    delta(role="assistant", content=""),
    delta(content="Hello"),
    delta(content=" there"),
    delta(finish="stop"),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer, and the ways in which real engines vary it.

    `usage` False leaves the usage chunk out. `split` > 0 cuts the bytes into pieces of that size, each its own HTTP
    chunk; 0 sends each event in one chunk; -1 sends everything in one. `close` uses no chunked framing but the end of
    the connection. `before` are raw lines in front of every event (comments). `raw` is sent after the events as it is.
    """

    chunks: Sequence[Object] = TALK
    usage: bool = True
    usages: Sequence[Object] = field(default_factory=lambda: [usage_chunk()])
    done: bool = True
    newline: bytes = b"\n"
    split: int = 0
    close: bool = False
    before: bytes = b""
    raw: bytes = b""

    def events(self) -> list[bytes]:
        """The events, framed."""
        documents = [json.dumps(c).encode() for c in (*self.chunks, *(self.usages if self.usage else ()))]
        lines = [*documents, b"[DONE]"] if self.done else documents
        return [self.before + b"data: " + line + self.newline * 2 for line in lines]

    def head(self) -> bytes:
        """The answer's head."""
        framing = "Connection: close" if self.close else "Transfer-Encoding: chunked"
        return head(200, "Content-Type: text/event-stream; charset=utf-8", "Cache-Control: no-cache", framing)

    def pieces(self) -> list[bytes]:
        """The body as it is written, piece by piece, without HTTP framing."""
        events = [*self.events(), self.raw] if self.raw else self.events()
        if self.split == 0:
            return events
        text = b"".join(events)
        size = self.split if self.split > 0 else len(text)
        return [text[i : i + size] for i in range(0, len(text), size)]

    def steps(self) -> list[Step]:
        """The whole answer, with its proper end."""
        if self.close:
            return [Send(self.head()), *(Send(p) for p in self.pieces()), Fin()]
        return [Send(self.head()), *(Send(chunk(p)) for p in self.pieces()), Send(chunk(b""))]

    def until(self, events: int, *after: Step) -> list[Step]:
        """The head and the first `events` events, then something else."""
        wrap = (lambda b: b) if self.close else chunk
        return [Send(self.head()), *(Send(wrap(p)) for p in self.events()[:events]), *after]

    def script(self) -> Script:
        """This stream, whatever was asked."""
        return always(*self.steps())


def wants_stream(asked: Asked) -> bool:
    """Whether the request asks for a stream."""
    return asked.document.get("stream") is True


def behave(asked: Asked) -> Sequence[Step]:
    """Answer as a good engine does."""
    route = asked.path.rsplit("/v1/", 1)[-1]
    if asked.method == "GET":
        return [Send(whole(_looked_up(route)))] if route.startswith("models") else [Send(whole({}, 404))]
    if route == "embeddings":
        given = asked.document.get("input")
        return [Send(whole(embeddings(len(as_list(given)) or 1)))]
    if route == "completions":
        return _stream_text(asked) if wants_stream(asked) else [Send(whole(text_completion()))]
    return Stream(usage=_usage_asked(asked)).steps() if wants_stream(asked) else [Send(whole(completion()))]


def _usage_asked(asked: Asked) -> bool:
    return as_object(asked.document.get("stream_options")).get("include_usage") is True


def _stream_text(asked: Asked) -> Sequence[Step]:
    frame: Object = {**_frame(), "id": "cmpl-engine-1", "object": "text_completion"}
    texts: list[Object] = [
        {**frame, "choices": [{"index": 0, "text": "Hello", "finish_reason": None}]},
        {**frame, "choices": [{"index": 0, "text": " there", "finish_reason": "stop"}]},
    ]
    usages: list[Object] = [{**frame, "choices": [], "usage": USAGE}]
    return Stream(chunks=texts, usages=usages, usage=_usage_asked(asked)).steps()


def said(chunks: Sequence[Object], name: str = "content", index: int = 0) -> str:
    """The text that a list of chat chunks adds up to."""
    parts: list[str] = []
    for document in chunks:
        for item in as_list(document.get("choices")):
            choice = as_object(item)
            if choice.get("index") == index:
                parts.append(as_str(as_object(choice.get("delta")).get(name)))
    return "".join(parts)


PROMPT_TOKENS = 7
TOKEN = "tok "


def talker(length: int = 900, *, usage: bool = True, gap: float = 0.0) -> Script:
    """An engine that generates `length` tokens, each a piece of its own, or `max_tokens` if that is less.

    The pieces are the head, the tokens and an end of one piece: of n pieces written, n - 1 are tokens until the end.
    `usage` False: it reports none at all. `gap` is in seconds, after each token.
    """

    def script(asked: Asked) -> Sequence[Step]:
        most = asked.document.get("max_tokens")
        count = min(length, most) if isinstance(most, int) else length
        finish = "stop" if count == length else "length"
        counted: Object = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": count,
            "total_tokens": PROMPT_TOKENS + count,
        }
        if not wants_stream(asked):
            document = completion(TOKEN * count, finish_reason=finish)
            if usage:
                document["usage"] = counted
            return [Send(whole(document))]
        stream = Stream(chunks=[delta(content=TOKEN)], usages=[counted], usage=usage)
        token = chunk(stream.events()[0])
        last = [delta(finish=finish), *([usage_chunk(counted)] if usage else [])]
        end = b"".join(map(chunk, Stream(chunks=last, usage=False).events()))
        return [Send(stream.head()), Drip(token * count, len(token), gap), Send(end + chunk(b""))]

    return script
