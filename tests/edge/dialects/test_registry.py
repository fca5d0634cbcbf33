"""Every call has a rendering of its own dialect."""

from __future__ import annotations

import pytest

from edge.dialects.registry import rendering_of
from policies.call import Call, Dialect, Operation
from tests.edge.dialects.test_timing import timing


@pytest.mark.parametrize(
    ("dialect", "operation", "content_type", "comments"),
    [
        (Dialect.OPENAI, Operation.CHAT, "text/event-stream; charset=utf-8", True),
        (Dialect.RESPONSES, Operation.CHAT, "text/event-stream; charset=utf-8", True),
        (Dialect.ANTHROPIC, Operation.CHAT, "text/event-stream; charset=utf-8", True),
        (Dialect.OLLAMA, Operation.CHAT, "application/x-ndjson", False),
        (Dialect.OLLAMA, Operation.COMPLETIONS, "application/x-ndjson", False),
        (Dialect.OLLAMA, Operation.EMBEDDINGS, "application/x-ndjson", False),
    ],
)
def test_each_dialect_says_how_it_streams(
    dialect: Dialect, operation: Operation, content_type: str, *, comments: bool
) -> None:
    rendering = rendering_of(Call(operation, dialect, "tiny"), "f" * 32, timing())
    assert (rendering.content_type, rendering.comments) == (content_type, comments)
