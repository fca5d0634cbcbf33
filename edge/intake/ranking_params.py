"""What the routes take that judge texts instead of writing them: rerank, score, and the count of a prompt's tokens.

Names are those of Jina's and Cohere's rerank and of vLLM's score and tokenize, since clients of all of them exist
(facts/engines.md 0, 2.1, 2.4). A reranker reads the query again with every document, so that is what is bounded: 1,000
queries of a megabyte in one small body would be a day's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge.intake.fields import Field, Record, Trail, fail
from edge.intake.kinds import Array, Union
from edge.intake.leaves import Flag, Int, Never, Text
from edge.intake.openai_messages import MESSAGES, TOOLS
from edge.intake.openai_params import FLAG, MODEL
from policies.call import Operation
from policies.input import pair_chars
from policies.json import JSON, Object
from policies.reasons import Reason

MAX_DOCUMENTS: Final = 1_000
"""What Cohere recommends as the most; its own limit is 10,000, on other machines than these."""
MAX_PAIRED: Final = 16 * 1024 * 1024
"""Characters that one request may have a model read, a query counted with each of its documents."""
MAX_PROMPT: Final = 512 * 1024
"""Characters: engines answer with every single token, about seven bytes each, and what is read of that is bounded
(`edge.relay.counting.MAX_COUNT`)."""

_TOO_MUCH: Final = f"With the query counted once per document there may be at most {MAX_PAIRED} characters."
_LENGTHS: Final = "They must be one text with any number of others, or two lists of one length."
_SPELLINGS: Final = (("text_1", "text_2"), ("queries", "documents"))
_EITHER: Final = "Give text_1 and text_2, or queries and documents."
_PROMPT: Final = "Give a prompt or messages."

_QUERY: Final = Text(1, 1_048_576)
_TEXT: Final = Text(0)
_DOCUMENT: Final = Record(
    Field("text", _TEXT, required=True),
    # What ranks something else than the text would be ranked without.
    Field("image", Never("Only text can be ranked here.")),
    Field("multi_modal", Never("Only text can be ranked here.")),
    Field("content", Never("Only text can be ranked here, as a string or under the name text.")),
)
_DOCUMENTS: Final = Array(
    Union(_TEXT, _DOCUMENT, hint="It must be a string, or an object with a text."), 1, MAX_DOCUMENTS
)
_SIDE: Final = Union(
    _TEXT, Array(_TEXT, 1, MAX_DOCUMENTS), hint=f"It must be a string or a list of 1 to {MAX_DOCUMENTS} strings."
)
# How an engine is to cut, batch or scale: its own settings, or its own defaults.
_USELESS: Final = (
    *("encoding_format", "max_chunks_per_doc", "max_tokens_per_doc", "overlap_tokens", "normalize", "raw_scores"),
    *("return_embeddings", "truncate", "truncation", "truncate_prompt_tokens", "activation", "use_activation"),
    *("softmax", "user"),
)


def _rerank_rule(body: Object, at: Trail) -> None:
    if pair_chars(body["query"], body["documents"]) > MAX_PAIRED:
        fail((at, "documents"), _TOO_MUCH)


def _score_rule(body: Object, at: Trail) -> None:
    given = [pair for pair in _SPELLINGS if any(name in body for name in pair)]
    if len(given) != 1:
        fail((at, "text_1"), _EITHER, Reason.INVALID_PARAMETER if given else Reason.MISSING_PARAMETER)
    (left, right) = given[0]
    for name in (left, right):
        if name not in body:
            fail((at, name), None, Reason.MISSING_PARAMETER)
    one, many = _count(body[left]), _count(body[right])
    if one not in (1, many):
        fail((at, right), _LENGTHS)
    if pair_chars(body[left], body[right]) > MAX_PAIRED:
        fail((at, right), _TOO_MUCH)


def _tokenize_rule(body: Object, at: Trail) -> None:
    if ("prompt" in body) == ("messages" in body):
        missing = "prompt" not in body
        fail((at, "prompt"), _PROMPT, Reason.MISSING_PARAMETER if missing else Reason.INVALID_PARAMETER)


def _count(side: JSON) -> int:
    return len(side) if isinstance(side, list) else 1


SPECS: Final[Mapping[Operation, Record]] = MappingProxyType(
    {
        Operation.RERANK: Record(
            MODEL,
            Field("query", _QUERY, required=True),
            Field("documents", _DOCUMENTS, required=True),
            Field("top_n", Int(1, 1_000_000)),
            Field("return_documents", FLAG),
            Field("rank_fields", Never("Documents are ranked by their text only.")),
            dropped=_USELESS,
            rule=_rerank_rule,
        ),
        Operation.SCORE: Record(
            MODEL,
            *(Field(name, _SIDE) for pair in _SPELLINGS for name in pair),
            dropped=_USELESS,
            rule=_score_rule,
        ),
        Operation.TOKENIZE: Record(
            MODEL,
            Field("prompt", Text(0, MAX_PROMPT)),
            Field("messages", MESSAGES),
            Field("tools", TOOLS),
            Field("chat_template_kwargs", Record(Field("enable_thinking", Flag()))),
            dropped=("add_special_tokens", "add_generation_prompt", "return_token_strs", "with_pieces", "user"),
            rule=_tokenize_rule,
        ),
    }
)
