"""Exchanges that are captured, for the tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from observability.captures.log import CaptureLog
from observability.captures.settings import CaptureSettings
from policies.call import Call, Dialect, Operation
from policies.exchange import Answer, Client, Exchange
from policies.input import shape_of
from policies.json import JSON, Object
from policies.obligations import Capture
from policies.principal import DEFAULT_SCOPES, Principal

PROMPT = "my prompt, and a key: sk-proj-abcdefghij0123456789"
ANSWER = "an answer"
NOW = 1_795_000_000.0
SIZES: Object = {"choices": [{"chars": 9}], "tool_names": ["search"]}


def exchange(
    number: int = 1, capture: Capture = "full", *, redact: frozenset[str] = frozenset(), **body: JSON
) -> Exchange:
    """A chat that was answered."""
    made = Exchange(
        f"{number:032x}", Client("10.0.0.1", 5, "lan"), route="/v1/chat/completions", model="qwen3", engine="e"
    )
    made.principal = Principal("ann", "k1", "n", "key", frozenset(), DEFAULT_SCOPES)
    messages: JSON = [{"role": "system", "content": "short"}, {"role": "user", "content": PROMPT}]
    tools: JSON = [{"type": "function", "function": {"name": "search", "description": "find it"}}]
    content: Object = {"messages": messages, "tools": tools, "temperature": 0.5, "user": "u1", **body}
    made.call = Call(Operation.CHAT, Dialect.OPENAI, model="qwen3", body=content, max_tokens=9)
    made.shape = shape_of(made.call)
    made.capture, made.redact = capture, redact
    text: Object = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}}]}
    made.answer = Answer(SIZES, text if capture == "full" else None, whole=True)
    made.outcome.status = 200
    return made


@contextmanager
def opened(
    folder: Path, settings: CaptureSettings | None = None, now: Callable[[], float] = time.time
) -> Iterator[CaptureLog]:
    log = CaptureLog(folder, settings or CaptureSettings(), now=now)
    try:
        yield log
    finally:
        log.close()
