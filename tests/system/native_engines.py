"""One recording engine of each kind that speaks a dialect itself, behind one gateway, and what such engines write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.system.process import Gateway, Key, configuration
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import ECHOED, Asked, Script, Send, Step, always, chunk, head, listing, whole

KINDS: Final = ("llama-server", "vllm", "ollama", "lm-studio", "docker-model-runner")
PATHS: Final = {
    "llama-server": "/v1/messages",
    "vllm": "/v1/messages",
    "ollama": "/v1/messages",
    "lm-studio": "/v1/messages",
    "docker-model-runner": "/anthropic/v1/messages",
}
CALL_ID: Final = "call_of_the_engine"


def model_of(kind: str) -> str:
    """The model that the engine of that kind has."""
    return f"tiny-{kind}"


def _probes(kind: str) -> Script:
    """What it answers to GETs."""
    model = model_of(kind)
    known: Mapping[str, JSON] = {
        "/health": {"status": "ok"},
        "/version": {"version": "0.19.1"},
        "/": "Docker Model Runner is running",
        "/api/version": {"version": "0.32.15"},
        "/api/tags": {"models": [{"name": model, "modified_at": "2026-11-21T10:00:00Z"}]},
        "/v1/models": listing(model),
        "/engines/v1/models": listing(model),
    }

    def answer(asked: Asked) -> Sequence[Step]:
        found = known.get(asked.path)
        if isinstance(found, str | dict):
            return [Send(whole(found))]
        return [Send(whole({}, 404))]

    return answer


@dataclass(frozen=True, slots=True)
class Front:
    """The gateway, and the engine of one kind behind it."""

    kind: str
    gateway: Gateway
    engine: RecordingEngine

    @property
    def model(self) -> str:
        return model_of(self.kind)

    def key(self, group: str = "plain") -> Key:
        """A new key of an owner of its own, in that group."""
        name = f"{self.kind}-{group}"
        return self.gateway.create_key(name, "--owner", name, "--group", group)


@contextmanager
def house(folder: Path, dialects: str = "native", **changes: JSON) -> Iterator[dict[str, Front]]:
    """A gateway in front of one engine of each kind."""
    with ExitStack() as stack:
        engines = {kind: stack.enter_context(RecordingEngine()) for kind in KINDS}
        for kind, engine in engines.items():
            engine.listing = _probes(kind)
        entries: list[JSON] = [
            {"name": kind, "kind": kind, "url": engine.url, "dialects": dialects} for kind, engine in engines.items()
        ]
        document = configuration("http://127.0.0.1:9", **changes)
        document["engines"] = {"discover": False, "list": entries}
        gateway = Gateway(folder, document)
        stack.callback(gateway.kill)
        gateway.start().ready()
        yield {kind: Front(kind, gateway, engine) for kind, engine in engines.items()}


def begin(engine: RecordingEngine, kind: str) -> None:
    """A clean book."""
    engine.forget()
    engine.listing = _probes(kind)


# -- Anthropic's events, as llama-server writes them ------------------------------------------------------------------


def event(document: Object) -> bytes:
    """Framed, under its name."""
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()


def start(read: int = 5, cached: int = 2) -> Object:
    """`message_start`."""
    usage: Object = {"cache_read_input_tokens": cached, "input_tokens": read, "output_tokens": 0}
    message: Object = {
        "id": "chatcmpl-engine",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": ECHOED,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return {"type": "message_start", "message": message}


def block(index: int, **content: JSON) -> Object:
    """`content_block_start`."""
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, kind: str, text: str) -> Object:
    """`content_block_delta`."""
    name = {"input_json_delta": "partial_json"}.get(kind, kind.removesuffix("_delta"))
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}


def ended(reason: str = "end_turn", written: int = 3) -> Object:
    """`message_delta`."""
    said: Object = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": said, "usage": {"output_tokens": written}}


STOP: Final[Object] = {"type": "message_stop"}
_STOP_0: Final[Object] = {"type": "content_block_stop", "index": 0}
TALK: Final = (
    start(),
    block(0, type="text", text=""),
    delta(0, "text_delta", "Hello"),
    delta(0, "text_delta", " there"),
    _STOP_0,
    ended(),
    STOP,
)
CALLING: Final = (
    start(),
    block(0, type="thinking", thinking=""),
    delta(0, "thinking_delta", "hmm"),
    block(1, type="text", text=""),
    delta(1, "text_delta", "Looking"),
    block(2, type="tool_use", id=CALL_ID, name="weather"),
    delta(2, "input_json_delta", '{"city"'),
    delta(2, "input_json_delta", ':"Bonn"}'),
    delta(0, "signature_delta", ""),
    _STOP_0,
    {**_STOP_0, "index": 1},
    {**_STOP_0, "index": 2},
    ended("tool_use"),
    STOP,
)
_SSE: Final = head(200, "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
_LINES: Final = head(200, "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")


def pieces(size: int, data: bytes) -> list[bytes]:
    """`data` in pieces of `size` bytes; 0 = whole."""
    return [data] if size == 0 else [data[i : i + size] for i in range(0, len(data), size)]


def streams(events: Sequence[Object], *after: Step, size: int = 0) -> Script:
    """Anthropic's events; `after` stands in place of the stream's proper end."""
    cut = [part for each in events for part in pieces(size, event(each))]
    return always(Send(_SSE), *(Send(chunk(part)) for part in cut), *(after or (Send(chunk(b"")),)))


def answers(*content: JSON, reason: str = "end_turn") -> Script:
    """A whole message."""
    usage: Object = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3}
    message: Object = {"type": "message", "role": "assistant", "id": "x", "model": ECHOED, "content": list(content)}
    return always(Send(whole({**message, "stop_reason": reason, "stop_sequence": None, "usage": usage})))


# -- Ollama's lines ---------------------------------------------------------------------------------------------------

COUNTS: Final[Object] = {
    "total_duration": 9_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_count": 7,
    "prompt_eval_duration": 3_000_000,
    "eval_count": 3,
    "eval_duration": 5_000_000,
}
_AT: Final = "2026-11-21T10:00:00.123456789Z"


def line(text: str = "", **message: JSON) -> Object:
    """Of `/api/chat`."""
    said: Object = {"role": "assistant", "content": text, **message}
    return {"model": ECHOED, "created_at": _AT, "message": said, "done": False}


def written(text: str = "") -> Object:
    """Of `/api/generate`."""
    return {"model": ECHOED, "created_at": _AT, "response": text, "done": False}


def last(document: Object, reason: str = "stop") -> Object:
    """The last one."""
    return {**document, "done": True, "done_reason": reason, **COUNTS}


def says(lines: Sequence[Object], *after: Step, size: int = 0) -> Script:
    """Lines of JSON."""
    cut = [part for each in lines for part in pieces(size, json.dumps(each).encode() + b"\n")]
    return always(Send(_LINES), *(Send(chunk(part)) for part in cut), *(after or (Send(chunk(b"")),)))
