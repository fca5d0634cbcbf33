"""Embeddings in Ollama's form: `/api/embed`, and `/api/embeddings` with one vector. Pure but for the clock."""

from __future__ import annotations

from edge.dialects import said
from edge.dialects.ollama.answer import NDJSON_TYPE, nanoseconds
from edge.dialects.timing import Timing
from policies.call import Call, Form
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_count, as_list, as_object


class OllamaVectors:
    """They are never streamed."""

    content_type = NDJSON_TYPE
    comments = False
    paced = False

    def __init__(self, call: Call, timing: Timing) -> None:
        self._model = call.model
        self._one = call.form is Form.EMBEDDING
        self._timing = timing

    def begin(self, _prompt: int) -> bytes:
        """Nothing."""
        return b""

    def chunk(self, _chunk: Object) -> bytes:
        """Nothing."""
        return b""

    def end(self, _final: Object) -> bytes:
        """Nothing."""
        return b""

    def whole(self, answer: Object) -> Object:
        """The vectors in the order of the inputs. EngineBroke if one is no list."""
        vectors = [_vector(row) for row in sorted(map(as_object, as_list(answer.get("data"))), key=_index)]
        if self._one:
            return {"embedding": vectors[0]}
        spans = self._timing.spans()
        return {
            "model": self._model,
            "embeddings": vectors,
            "total_duration": nanoseconds(spans.total),
            "load_duration": nanoseconds(spans.waiting),
            "prompt_eval_count": said.usage(answer).read,
        }


def _index(row: Object) -> int:
    return as_count(row.get("index")) or 0


def _vector(row: Object) -> JSON:
    vector = row.get("embedding")
    if not isinstance(vector, list):
        raise EngineBroke("an embedding that is no list")
    return vector
