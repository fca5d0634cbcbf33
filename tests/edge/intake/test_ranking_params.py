"""What rerank, score and tokenize take, and in which one form it goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.intake import read_call
from edge.intake.ranking_params import MAX_DOCUMENTS, MAX_PAIRED, MAX_PROMPT
from edge.intake.routes import Routes
from policies.call import Call, Operation
from policies.errors import Refusal
from policies.input import pair_chars, shape_of
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused

ROUTES = Routes()
TOOL: Object = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
HI: list[JSON] = [{"role": "user", "content": "hi"}]
GOOD: dict[str, Object] = {
    "/v1/rerank": {"query": "q", "documents": ["a"]},
    "/v1/score": {"text_1": "q", "text_2": "a"},
    "/v1/tokenize": {"prompt": "a"},
}


def read(path: str, body: Object, *, strict: bool = False) -> Call:
    route = ROUTES.match("POST", path)
    assert route is not None
    return read_call(route, {"model": "tiny", **body}, strict=strict)


def rerank(**body: JSON) -> Call:
    return read("/v1/rerank", {"query": "q", "documents": ["a", "b"], **body})


def score(**body: JSON) -> Call:
    return read("/v1/score", body)


def tokenize(**body: JSON) -> Call:
    return read("/v1/tokenize", body)


def test_documents_go_on_as_strings_whichever_way_they_came() -> None:
    call = rerank(documents=["a", {"text": "b"}, {"text": "", "id": 7, "title": "T"}], top_n=2, return_documents=True)
    assert (call.operation, call.stream, call.counts) == (Operation.RERANK, False, False)
    assert call.body == {"query": "q", "documents": ["a", "b", ""], "top_n": 2, "return_documents": True}
    assert call.ignored == ("documents[].id", "documents[].title")


@pytest.mark.parametrize(
    ("body", "sides"),
    [
        ({"text_1": "q", "text_2": "d"}, ("q", ["d"])),
        ({"text_1": "q", "text_2": ["d", "e"]}, ("q", ["d", "e"])),
        ({"text_1": ["q"], "text_2": ["d", "e"]}, ("q", ["d", "e"])),
        ({"text_1": ["q", "r"], "text_2": ["d", "e"]}, (["q", "r"], ["d", "e"])),
        ({"queries": "q", "documents": ["d"]}, ("q", ["d"])),
    ],
)
def test_scores_are_asked_for_in_two_spellings_that_become_one(body: Object, sides: tuple[JSON, JSON]) -> None:
    call = score(**body)
    assert call.operation is Operation.SCORE
    assert call.body == {"text_1": sides[0], "text_2": sides[1]}


def test_a_prompt_or_a_chat_is_counted() -> None:
    assert tokenize(prompt="one two").body == {"prompt": "one two"}
    call = tokenize(messages=HI, tools=[TOOL], add_special_tokens=False, return_token_strs=True)
    assert call.body == {"messages": HI, "tools": [TOOL]}
    assert (call.operation, call.counts) == (Operation.TOKENIZE, True)
    assert call.ignored == ("add_special_tokens", "return_token_strs")


@pytest.mark.parametrize(
    ("path", "body", "reason", "param"),
    [
        ("/v1/rerank", {"documents": ["a"]}, Reason.MISSING_PARAMETER, "query"),
        ("/v1/rerank", {"query": "q"}, Reason.MISSING_PARAMETER, "documents"),
        ("/v1/rerank", {"query": "", "documents": ["a"]}, Reason.INVALID_PARAMETER, "query"),
        ("/v1/rerank", {"query": ["q"], "documents": ["a"]}, Reason.INVALID_PARAMETER, "query"),
        ("/v1/rerank", {"query": "q", "documents": []}, Reason.INVALID_PARAMETER, "documents"),
        ("/v1/rerank", {"query": "q", "documents": "a"}, Reason.INVALID_PARAMETER, "documents"),
        ("/v1/rerank", {"query": "q", "documents": [1]}, Reason.INVALID_PARAMETER, "documents[]"),
        ("/v1/rerank", {"query": "q", "documents": [None]}, Reason.INVALID_PARAMETER, "documents[]"),
        ("/v1/rerank", {"query": "q", "documents": [{}]}, Reason.MISSING_PARAMETER, "documents[].text"),
        (
            "/v1/rerank",
            {"query": "q", "documents": [{"text": "a", "image": "data:"}]},
            Reason.INVALID_PARAMETER,
            "documents[].image",
        ),
        ("/v1/rerank", {"query": "q", "documents": ["a"], "top_n": 0}, Reason.INVALID_PARAMETER, "top_n"),
        # llama-server resizes its list to it: a negative one is a length error in the engine.
        ("/v1/rerank", {"query": "q", "documents": ["a"], "top_n": -1}, Reason.INVALID_PARAMETER, "top_n"),
        ("/v1/rerank", {"query": "q", "documents": ["a"], "top_n": True}, Reason.INVALID_PARAMETER, "top_n"),
        ("/v1/rerank", {"query": "q", "documents": ["a"], "rank_fields": ["x"]}, Reason.INVALID_PARAMETER,
         "rank_fields"),
        ("/v1/rerank", {"query": "q", "documents": ["a"] * (MAX_DOCUMENTS + 1)}, Reason.INVALID_PARAMETER,
         "documents"),
        ("/v1/rerank", {"query": "q" * 1_000_000, "documents": ["a"] * 17}, Reason.INVALID_PARAMETER, "documents"),
        ("/v1/rerank", {"query": "q", "documents": ["a"], "Query": "r"}, Reason.INVALID_PARAMETER, None),
        ("/v1/score", {}, Reason.MISSING_PARAMETER, "text_1"),
        ("/v1/score", {"text_1": "a"}, Reason.MISSING_PARAMETER, "text_2"),
        ("/v1/score", {"documents": ["a"]}, Reason.MISSING_PARAMETER, "queries"),
        ("/v1/score", {"text_1": "a", "text_2": "b", "documents": "c"}, Reason.INVALID_PARAMETER, "text_1"),
        ("/v1/score", {"text_1": ["a", "b"], "text_2": "c"}, Reason.INVALID_PARAMETER, "text_2"),
        ("/v1/score", {"text_1": ["a", "b"], "text_2": ["c", "d", "e"]}, Reason.INVALID_PARAMETER, "text_2"),
        ("/v1/score", {"text_1": "a" * 1_000_000, "text_2": ["c"] * 17}, Reason.INVALID_PARAMETER, "text_2"),
        ("/v1/score", {"text_1": "a", "text_2": [{"text": "b"}]}, Reason.INVALID_PARAMETER, "text_2"),
        ("/v1/tokenize", {}, Reason.MISSING_PARAMETER, "prompt"),
        ("/v1/tokenize", {"prompt": "a", "messages": HI}, Reason.INVALID_PARAMETER, "prompt"),
        ("/v1/tokenize", {"prompt": ["a"]}, Reason.INVALID_PARAMETER, "prompt"),
        ("/v1/tokenize", {"prompt": "a" * (MAX_PROMPT + 1)}, Reason.INVALID_PARAMETER, "prompt"),
        ("/v1/tokenize", {"messages": []}, Reason.INVALID_PARAMETER, "messages"),
    ],
)  # fmt: skip
def test_what_is_refused(path: str, body: Object, reason: Reason, param: str | None) -> None:
    with refused(reason, param):
        read(path, body)


@pytest.mark.parametrize("name", ["id_slot", "cache_salt", "priority", "chat_template", "mm_processor_kwargs", "texts"])
@pytest.mark.parametrize("path", GOOD)
def test_what_engines_know_beside_it_stays_behind(path: str, name: str) -> None:
    call = read(path, {**GOOD[path], name: 1})
    assert name not in call.body
    assert call.ignored == (name,)
    with refused(Reason.UNKNOWN_PARAMETER):
        read(path, {**GOOD[path], name: 1}, strict=True)


def test_what_a_model_reads_is_what_is_counted_the_query_with_each_document() -> None:
    assert shape_of(rerank(query="12345", documents=["a", "bc", ""])).input_chars == 5 * 3 + 3
    assert shape_of(score(text_1="12345", text_2=["a", "bc"])).input_chars == 5 * 2 + 3
    assert shape_of(score(text_1=["12", "345"], text_2=["a", "bc"])).input_chars == 5 + 3
    assert shape_of(tokenize(prompt="1234")).input_chars == 4
    assert shape_of(tokenize(messages=HI, tools=[TOOL])).tools == 1


TEXTS = st.text(max_size=8)
DOCUMENTS = st.one_of(TEXTS, st.builds(lambda text: {"text": text}, TEXTS))
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["query", "documents", "top_n", "return_documents", "text_1", "text_2", "queries", "prompt", "messages", "x"]
)


@CALM
@given(query=st.text(min_size=1, max_size=8), documents=st.lists(DOCUMENTS, min_size=1, max_size=5))
def test_every_text_arrives_and_none_twice(query: str, documents: list[JSON]) -> None:
    call = rerank(query=query, documents=documents)
    texts = [item["text"] if isinstance(item, dict) else item for item in documents]
    assert call.body == {"query": query, "documents": texts}
    again = rerank(**call.body)
    assert again.body == call.body, "the internal form means the same when it is asked again"


@CALM
@given(st.sampled_from([*GOOD]), st.dictionaries(NAMES, ANYTHING, max_size=2))
def test_any_document_becomes_a_bounded_call_or_one_refusal(path: str, changed: Object) -> None:
    try:
        call = read(path, {**GOOD[path], **changed})
    except Refusal:
        return
    body = call.body
    match call.operation:
        case Operation.RERANK:
            texts = body["documents"]
            assert isinstance(texts, list)
            assert all(isinstance(text, str) for text in [body["query"], *texts])
        case Operation.SCORE:
            one, many = body["text_1"], body["text_2"]
            assert isinstance(many, list)
            assert isinstance(one, str) or (isinstance(one, list) and len(one) == len(many))
        case _:
            assert ("prompt" in body) != ("messages" in body)
    assert pair_chars(body.get("query"), body.get("documents")) <= MAX_PAIRED
