"""What Ollama's routes take: all that its own client sends is known; whatever else comes, it is checked or refused."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ollama import _types as wire
from pydantic import BaseModel

from edge.intake.fields import Record
from edge.intake.intake import read_call
from edge.intake.kinds import Array
from edge.intake.ollama_params import SPECS
from edge.intake.routes import Routes
from policies.call import Form, Operation
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused
from tests.edge.intake.samples import objects

PATHS = ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show", "/api/pull")
CHAT = SPECS[Operation.CHAT, Form.ONLY]
FULL: Object = {
    "model": "tiny",
    "messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hi", "images": ["iVBORw0KGgoAAA=="]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "x", "tool_name": "f", "tool_call_id": "c1"},
    ],
    "stream": True,
    "format": "json",
    "options": {"temperature": 0.5, "num_predict": 9, "stop": ["END"]},
    "think": "low",
    "logprobs": True,
    "top_logprobs": 2,
    "keep_alive": "5m",
    "tools": [{"type": "function", "function": {"name": "f", "description": "d"}}],
}


def inner(spec: Record, name: str) -> Record:
    """The record that a parameter holds, alone or in a list."""
    kind = spec.fields()[name]
    kind = kind.item if isinstance(kind, Array) else kind
    assert isinstance(kind, Record)
    return kind


@pytest.mark.parametrize(
    ("spec", "sent"),
    [
        (CHAT, wire.ChatRequest),
        (SPECS[Operation.CHAT, Form.GENERATE], wire.GenerateRequest),
        (SPECS[Operation.EMBEDDINGS, Form.ONLY], wire.EmbedRequest),
        (SPECS[Operation.EMBEDDINGS, Form.EMBEDDING], wire.EmbeddingsRequest),
        (SPECS[Operation.MODELS_SHOW, Form.ONLY], wire.ShowRequest),
        (SPECS[Operation.MODELS_PULL, Form.ONLY], wire.PullRequest),
        (SPECS[Operation.MODELS_DELETE, Form.ONLY], wire.DeleteRequest),
        (inner(CHAT, "options"), wire.Options),
        (inner(CHAT, "messages"), wire.Message),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_all_that_ollamas_own_client_sends_is_known(spec: Record, sent: type[BaseModel]) -> None:
    assert set(sent.model_fields) <= set(spec.names)


def read(path: str, document: Object) -> None:
    route = Routes().match("POST", path)
    assert route is not None
    call = read_call(route, document)
    assert orjson.loads(orjson.dumps(call.body)) == call.body


def test_a_model_is_pulled_over_tls_and_without_the_callers_credentials() -> None:
    route = Routes().match("POST", "/api/pull")
    assert route is not None
    plain: Object = {"model": "ai/Tiny:Q4", "insecure": False, "username": "u", "password": "p"}
    call = read_call(route, plain)
    assert (call.model, call.stream, call.body) == ("ai/Tiny:Q4", True, {})
    assert set(call.ignored) == {"username", "password"}
    assert not read_call(route, {**plain, "stream": False}).stream
    with refused(Reason.INVALID_PARAMETER, "insecure"):
        read_call(route, {"model": "tiny", "insecure": True})
    with refused(Reason.MISSING_PARAMETER, "model"):
        read_call(route, {"stream": True})
    for wrong in ("http://10.0.0.5/x", "../x", "a b", "", "x" * 257):
        with refused(Reason.INVALID_PARAMETER, "model"):
            read_call(route, {"model": wrong})


@pytest.mark.parametrize("document", [{"model": "tiny"}, {"name": "tiny"}])
def test_a_model_to_delete_has_a_name(document: Object) -> None:
    route = Routes().match("DELETE", "/api/delete")
    assert route is not None
    call = read_call(route, document)
    assert (call.operation, call.model, call.stream) == (Operation.MODELS_DELETE, "tiny", False)
    with refused(Reason.MISSING_PARAMETER, "model"):
        read_call(route, {})


def test_a_second_spelling_is_refused_at_every_level() -> None:
    """Go's decoder would take it for the first (facts/security.md F2)."""
    document: Object = orjson.loads(orjson.dumps(FULL))
    read("/api/chat", document)
    for place in list(objects(document)):
        if place == {"a": 1}:
            continue  # the arguments of a call are the model's own
        for name in list(place):
            place[name.upper()] = place[name]
            with pytest.raises(Refusal) as caught:
                read("/api/chat", document)
            assert caught.value.reason is Reason.INVALID_PARAMETER
            del place[name.upper()]


NAMES = st.sampled_from(sorted({name for spec in SPECS.values() for name in spec.names}))
VALUES: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "images", "function", "name", "num_predict"]), inside)
    ),
    max_leaves=8,
)


@CALM
@given(st.sampled_from(PATHS), st.dictionaries(NAMES, VALUES, max_size=6))
def test_whatever_comes_is_a_call_that_can_be_written_or_a_refusal(path: str, odd: Object) -> None:
    with suppress(Refusal):
        read(path, {"model": "tiny", "messages": [], "prompt": "a", "input": "a", **odd})
