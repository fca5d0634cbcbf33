"""Embeddings in either of Ollama's forms."""

from __future__ import annotations

import pytest

from edge.dialects.ollama.vectors import OllamaVectors
from policies.call import Call, Dialect, Form, Operation
from policies.errors import EngineBroke
from policies.json import JSON, Object
from tests.edge.dialects.test_timing import timing


def vectors(form: Form, *rows: JSON) -> Object:
    call = Call(Operation.EMBEDDINGS, Dialect.OLLAMA, "tiny", form=form)
    return OllamaVectors(call, timing()).whole({"data": list(rows), "usage": {"prompt_tokens": 4}})


def row(index: int, *numbers: float) -> JSON:
    return {"object": "embedding", "index": index, "embedding": list(numbers)}


def test_many_in_the_order_of_their_inputs() -> None:
    assert vectors(Form.ONLY, row(1, 0.5), row(0, 0.25, -1)) == {
        "model": "tiny",
        "embeddings": [[0.25, -1], [0.5]],
        "total_duration": 10_000_000_000,
        "load_duration": 2_000_000_000,
        "prompt_eval_count": 4,
    }


def test_one() -> None:
    assert vectors(Form.EMBEDDING, row(0, 0.25)) == {"embedding": [0.25]}


@pytest.mark.parametrize("odd", [None, "AACAPw==", {"embedding": "AACAPw=="}, {"index": 0}])
def test_what_is_no_vector_is_the_engines_failure(odd: JSON) -> None:
    with pytest.raises(EngineBroke):
        vectors(Form.ONLY, odd)
