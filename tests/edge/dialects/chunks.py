"""Chunks of a chat answer, as the relay hands them to a rendering."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from hypothesis import strategies as st

from edge.relay.aggregate import Aggregate
from edge.relay.fragments import Fragments
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object

USAGE: Final[Object] = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}

_PIECES: Final = st.lists(st.text(min_size=1, max_size=5), max_size=4)
_INPUTS: Final = st.dictionaries(st.text(max_size=4), st.integers(-(2**63), 2**63) | st.text(max_size=6), max_size=3)
WRITTEN: Final = _INPUTS.map(json.dumps)
"""Arguments of calls."""


def chunk(finish: str | None = None, /, stop: str | None = None, logprobs: JSON = None, **delta: JSON) -> Object:
    choice: Object = {"index": 0, "delta": delta, "finish_reason": finish}
    if stop is not None:
        choice["stop_reason"] = stop
    if logprobs is not None:
        choice["logprobs"] = logprobs
    return {"choices": [choice]}


def call(index: int, arguments: str, name: str | None = None, call_id: str | None = None) -> Object:
    function: Object = {"arguments": arguments}
    made: Object = {"index": index, "function": function}
    if name is not None:
        function["name"] = name
    if call_id is not None:
        made["id"] = call_id
    return chunk(tool_calls=[made])


@st.composite
def answers(
    draw: st.DrawFn,
    *endings: str,
    refuses: bool = False,
    arguments: st.SearchStrategy[str] = WRITTEN,
) -> list[Object]:
    """Thoughts, then text, then calls whose arguments come in pieces, tidied as the relay does."""
    chunks = [chunk(reasoning=piece) for piece in draw(_PIECES)]
    chunks += [chunk(content=piece) for piece in draw(_PIECES)]
    if refuses:
        chunks += [chunk(refusal=piece) for piece in draw(_PIECES)]
    for index, written in enumerate(draw(st.lists(arguments, max_size=3))):
        cuts = sorted(draw(st.lists(st.integers(0, len(written)), max_size=3)))
        pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
        chunks.append(call(index, pieces[0], "f", f"c{index}"))
        chunks += [call(index, piece) for piece in pieces[1:]]
    chunks.append(chunk(draw(st.sampled_from(endings))))
    fragments = Fragments()
    for each in chunks:
        fragments.tidy(0, as_object(as_object(as_list(each["choices"])[0])["delta"]))
    return chunks


def aggregated(chunks: Iterable[Object]) -> Object:
    """The whole answer that `chunks` come to."""
    aggregate = Aggregate()
    for each in chunks:
        aggregate.add(each)
    return {**aggregate.answer(Usage(), chat=True), "usage": USAGE}
