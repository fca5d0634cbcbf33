"""The short way of `ChunkReader.read`, for a piece of text and nothing else, brings what the long one would."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.relay import chunks as chunks_module
from edge.relay.chunks import ChunkReader
from edge.relay.deltas import plain_text
from edge.relay.sse import Event
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object

_ANY: st.SearchStrategy[JSON] = st.sampled_from([None, True, 0, 1, -1, "", "ab", [1], []])
_LOGPROBS: st.SearchStrategy[JSON] = st.sampled_from([None, {"content": [{}, {}]}])
_PIECE = st.fixed_dictionaries(
    {}, optional={"content": _ANY, "role": _ANY, "reasoning": _ANY, "tool_calls": _ANY, "odd": _ANY}
)
_SAID: st.SearchStrategy[Object] = st.fixed_dictionaries(
    {},
    optional={
        "index": _ANY,
        "delta": _PIECE | _ANY,
        "finish_reason": st.none() | st.sampled_from(["stop", "LENGTH", "abort", ""]) | _ANY,
        "logprobs": _LOGPROBS | _ANY,
        "text": _ANY,
        "odd": _ANY,
    },
)
_LIKELY = st.fixed_dictionaries(
    {
        "index": st.just(0),
        "delta": st.fixed_dictionaries(
            {"content": st.text(max_size=40)}, optional={"role": st.just("assistant"), "reasoning": st.text(max_size=3)}
        ),
        "finish_reason": st.sampled_from([None, None, "stop"]),
    },
    optional={"logprobs": st.sampled_from([None, {"content": [{}, {}]}])},
)
_CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(_LIKELY | _SAID, min_size=1, max_size=2) | _ANY},
    optional={
        "id": _ANY,
        "object": _ANY,
        "created": _ANY,
        "model": _ANY,
        "system_fingerprint": _ANY,
        "usage": st.just({"prompt_tokens": 3, "completion_tokens": 2}) | _ANY,
        "timings": st.just({"predicted_n": 4}) | _ANY,
        "odd": _ANY,
    },
)


_USUAL = st.fixed_dictionaries(
    {
        **{name: st.just("x") for name in ("id", "object", "created", "model")},
        "choices": st.lists(_LIKELY, min_size=1, max_size=1) | st.lists(_LIKELY | _SAID, max_size=2),
    },
    optional={"system_fingerprint": _ANY, "usage": st.sampled_from([None, {"completion_tokens": 1}])},
)
_FIRST: Object = {"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}


def _usual(more: Object | None = None, **fields: JSON) -> list[Object]:
    plain: Object = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    said: Object = {**plain, **(more or {})}
    return [{"id": "x", "object": "x", "created": 1, "model": "x", "choices": [said], **fields}]


@given(st.lists(_USUAL, max_size=4) | st.lists(_USUAL | _CHUNK, max_size=6))
@example(_usual())
@example(_usual(usage=None, system_fingerprint="b1"))
@example(_usual(usage={"completion_tokens": 7}))
@example(_usual({"finish_reason": "stop"}))
@example(_usual({"logprobs": {"content": [{}, {}]}}))
@example(_usual({"delta": {"content": "a", "reasoning": "b"}}))
@example(_usual({"delta": {"content": ["a"]}}))
@example(_usual(choices=[{"index": 0, "delta": {"content": "a"}, "finish_reason": None}] * 2))
def test_a_plain_chunk_is_read_as_any_other(chunks: list[Object]) -> None:
    """The short way of `ChunkReader.read` brings what the long one would."""

    def read_all() -> tuple[list[JSON], str, ChunkReader]:
        reading, shown, broke = ChunkReader(model="m", choices=2, usage=Usage(), keep_text=True), list[JSON](), ""
        try:
            for each in (_FIRST, *chunks):
                shown.append(reading.read(Event(orjson.dumps(each))))
        except EngineBroke as error:
            broke = error.detail
        return shown, broke, reading

    short, broke, one = read_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks_module, "plain_text", lambda _: None)
        long, long_broke, other = read_all()
    assert (short, broke) == (long, long_broke)
    for name in ("tokens", "size", "text", "finish", "done", "complete", "running"):
        assert getattr(one, name) == getattr(other, name)
    assert one.usage_chunk() == other.usage_chunk()


def test_nearly_every_chunk_is_plain() -> None:
    """As vLLM, mlx-lm, llama-server, Ollama and LM Studio write them."""
    (plain,) = _usual()
    assert plain_text(plain) == "a"
    (with_more,) = _usual({"logprobs": None}, system_fingerprint="fp", usage=None)
    assert plain_text(with_more) == "a"
