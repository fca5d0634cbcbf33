"""Numbers about texts: one shape for callers, and nothing that looks whole but is not."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.relay.ranking import read_judged
from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target
from policies.call import Call, Dialect, Operation
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object

TEXTS: list[JSON] = ["a", "b", "c"]


def judged(call: Call, document: JSON | bytes, context: int | None = None) -> tuple[Object, Usage]:
    usage = Usage()
    target = Target(Engine("e", Kind.LLAMA_SERVER, "http://127.0.0.1:1", 1), Model("m", "Own/Id:1", context=context))
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    return read_judged(body, call, target, adapter_for(Kind.LLAMA_SERVER), usage), usage


def rerank(**body: JSON) -> Call:
    given_: Object = {"query": "q", "documents": TEXTS, **body}
    return Call(Operation.RERANK, Dialect.OPENAI, "asked", body=given_)


SCORE = Call(Operation.SCORE, Dialect.OPENAI, "asked", body={"text_1": "q", "text_2": TEXTS})
TOKENIZE = Call(Operation.TOKENIZE, Dialect.OPENAI, "asked", body={"prompt": "hi"}, counts=True)


def ranks(*scores: JSON) -> list[JSON]:
    return [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]


# llama-server of b9879 (tools/server/server-common.cpp, format_response_rerank) and vLLM 0.19 (RerankResponse).
LLAMA_SERVER: Object = {
    "model": "/models/bge.gguf",
    "object": "list",
    "usage": {"prompt_tokens": 31, "total_tokens": 31},
    "results": [
        {"index": 1, "relevance_score": 3.5},
        {"index": 2, "relevance_score": -1.25},
        {"index": 0, "relevance_score": -8.0},
    ],
}
VLLM: Object = {
    "id": "rerank-1",
    "model": "bge",
    "usage": {"total_tokens": 31},
    "results": [
        {"index": 1, "document": {"text": "not the caller's"}, "relevance_score": 3.5},
        {"index": 2, "document": {"text": "x", "multi_modal": None}, "relevance_score": -1.25},
        {"index": 0, "document": {"text": "y"}, "relevance_score": -8.0},
    ],
}


@pytest.mark.parametrize("answer", [LLAMA_SERVER, VLLM])
def test_each_engines_ranks_look_the_same(answer: Object) -> None:
    shown, usage = judged(rerank(), answer)
    assert shown == {
        "object": "list",
        "model": "asked",
        "results": [
            {"index": 1, "relevance_score": 3.5},
            {"index": 2, "relevance_score": -1.25},
            {"index": 0, "relevance_score": -8.0},
        ],
        "usage": {"prompt_tokens": 31, "total_tokens": 31},
    }
    assert (usage.input, usage.output, usage.source) == (31, 0, "engine")


def test_the_callers_own_texts_are_shown_on_request_and_the_best_only() -> None:
    shown, _ = judged(rerank(top_n=2, return_documents=True), VLLM)
    assert shown["results"] == [
        {"index": 1, "relevance_score": 3.5, "document": {"text": "b"}},
        {"index": 2, "relevance_score": -1.25, "document": {"text": "c"}},
    ]
    assert len(as_list(judged(rerank(top_n=999), VLLM)[0]["results"])) == 3


def test_scores_in_the_callers_order() -> None:
    rows: list[JSON] = [{"index": i, "object": "score", "score": s} for i, s in ((2, 0.5), (0, 0.25), (1, 1))]
    shown, usage = judged(SCORE, {"id": "s", "created": 1, "data": rows, "usage": {"prompt_tokens": 4}})
    assert shown == {
        "object": "list",
        "model": "asked",
        "data": [{"index": i, "object": "score", "score": s} for i, s in enumerate((0.25, 1.0, 0.5))],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    assert usage.input == 4


@pytest.mark.parametrize("told", [None, {}, {"prompt_tokens": -1}, {"prompt_tokens": 2**60}, {"total_tokens": "9"}, []])
def test_what_was_not_counted_is_left_to_the_estimate(told: JSON) -> None:
    shown, usage = judged(rerank(), {"results": ranks(1, 2, 3), "usage": told})
    assert shown["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert (usage.input, usage.source) == (None, "none")


@pytest.mark.parametrize(
    "results",
    [
        None,
        {},
        [],
        ranks(1, 2),
        ranks(1, 2, 3, 4),
        [*ranks(1, 2), {"index": 1, "relevance_score": 0}],
        [*ranks(1, 2), {"index": 3, "relevance_score": 0}],
        [*ranks(1, 2), {"index": -1, "relevance_score": 0}],
        [*ranks(1, 2), {"index": 2.0, "relevance_score": 0}],
        [*ranks(1, 2), {"index": True, "relevance_score": 0}],
        [*ranks(1, 2), {"index": 2}],
        [*ranks(1, 2), {"index": 2, "score": 1}],
        [*ranks(1, 2), "c"],
        ranks(1, 2, None),  # NaN, as llama-server's JSON writer has it
        ranks(1, 2, "3"),
        ranks(1, 2, True),
        ranks(1, 2, -1e6),  # llama-server: could not be judged
        ranks(1, 2, 1e300),
    ],
)
def test_an_answer_that_is_not_whole_is_the_engines_failure(results: JSON) -> None:
    with pytest.raises(EngineBroke):
        judged(rerank(), {"results": results})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"results":[{"index":0,"relevance_score":NaN}]}', b'{"error":{"code":5}}']
)
def test_what_is_no_answer_at_all(body: bytes) -> None:
    for call in (rerank(), SCORE, TOKENIZE):
        with pytest.raises(EngineBroke):
            judged(call, body)


@pytest.mark.parametrize(
    "answer", [{"tokens": [1] * 9}, {"count": 9, "max_model_len": 1, "tokens": []}, {"input_tokens": 9}]
)
def test_the_number_of_tokens_and_never_the_tokens(answer: Object) -> None:
    assert judged(TOKENIZE, answer)[0] == {"model": "asked", "count": 9}
    assert judged(TOKENIZE, answer, context=4096)[0] == {"model": "asked", "count": 9, "max_model_len": 4096}


@pytest.mark.parametrize("answer", [{}, {"count": "9"}, {"count": -1}, {"tokens": 9}])
def test_no_count_is_no_answer(answer: Object) -> None:
    with pytest.raises(EngineBroke):
        judged(TOKENIZE, answer)


SCORES = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


@given(scores=SCORES, order=st.randoms(use_true_random=False), most=st.none() | st.integers(1, 10))
def test_however_an_engine_orders_its_results(scores: list[float], order: object, most: int | None) -> None:
    call = rerank(documents=[str(i) for i in range(len(scores))], return_documents=True, top_n=most)
    rows = ranks(*scores)
    order.shuffle(rows)  # type: ignore[attr-defined]  # hypothesis' Random
    results = [as_object(row) for row in as_list(judged(call, {"results": rows})[0]["results"])]
    assert len(results) == min(len(scores), most or len(scores))
    assert [row["relevance_score"] for row in results] == sorted(scores, reverse=True)[: len(results)]
    for row in results:
        index = row["index"]
        assert isinstance(index, int)
        assert row == {"index": index, "relevance_score": scores[index], "document": {"text": str(index)}}


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["results", "data", "index", "relevance_score", "score", "usage", "tokens", "count"]), inner),
).map(orjson.dumps))  # fmt: skip
def test_any_bytes_are_an_answer_or_the_engines_failure(body: bytes) -> None:
    for call in (rerank(), SCORE, TOKENIZE):
        try:
            shown, _ = judged(call, body)
        except EngineBroke:
            continue
        assert shown["model"] == "asked"
