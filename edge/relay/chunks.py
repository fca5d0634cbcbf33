"""One event of an engine's stream -> what the caller may see of it. Pure; one `ChunkReader` per answer.

What is said about engines here was read in facts/engines.md section 0 and 2. The rules:
* every payload is parsed; one that is no JSON object, or that carries an error, ends the stream as broken;
* only known fields go on, and all text that does is counted (deltas.py); the model's name becomes the one the caller
  used (mlx-lm echoes a local path);
* usage is read wherever it stands and never relayed in place: whoever asked for it gets one chunk of ours at the end;
* it is the engine's count of the answer only if the answer is whole and nothing was generated after it;
* an answer is whole only when every choice has a finish_reason. `[DONE]` alone proves nothing: llama-cpp-python ends an
  interrupted stream with it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import orjson

from edge.relay.deltas import known_choices, plain_text, texts, tokens_in
from edge.relay.finishes import finished
from edge.relay.fragments import Fragments
from edge.relay.meter import tokens_of
from edge.relay.sse import Event
from edge.relay.usage import Reported, usage_object
from engines.adapters.failures import word
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_object

KEPT: Final = frozenset(
    {"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier", "timings"}
)


class ChunkReader:
    """Reads chat and text completion chunks; collects usage, finish reasons and the generated text's size."""

    __slots__ = (
        "_counted_at",
        "_ending",
        "_expected",
        "_finished",
        "_fragments",
        "_head",
        "_model",
        "_reported",
        "_text",
        "cut",
        "done",
        "finish",
        "size",
        "tokens",
        "usage",
    )

    def __init__(self, *, model: str, choices: int, usage: Usage, keep_text: bool = False, answer: str = "") -> None:
        """`answer`: its id, for those of calls that the engine gives none."""
        self._model = model
        self._expected = choices
        self._finished: set[int] = set()
        self._ending: list[int] = []
        """Of these, those that the latest event ended."""
        self._fragments = Fragments(answer)
        self._head: Object = {}
        self._text: list[str] | None = [] if keep_text else None
        self._reported = Reported(usage)
        self._counted_at = 0
        self.usage = usage
        self.done = False
        self.cut = False
        """Whether we ended the answer, not the engine."""
        self.finish = ""
        self.tokens = 0
        """Generated tokens as far as the pieces of text tell (meter.py)."""
        self.size = 0
        """Bytes of all events so far."""

    @property
    def complete(self) -> bool:
        """Whether every choice asked for came to its end."""
        return len(self._finished) >= self._expected

    @property
    def running(self) -> int:
        """Tokens that the engine says it has generated so far; a lower bound, 0 if it does not say."""
        return self._reported.output or 0

    def settle(self) -> bool:
        """Write the engine's count of the answer into `usage`, if it has counted all of it: whether it has."""
        return self.complete and self._counted_at == self.tokens and self._reported.settle(self.tokens)

    @property
    def text(self) -> str:
        """The generated text so far (only with `keep_text`)."""
        return "".join(self._text or ())

    def read(self, event: Event) -> Object | None:
        """The chunk for the caller, or None if the event is not for the caller. Raises EngineBroke."""
        self.size += len(event.data)
        if event.data == b"[DONE]":
            self.done = True
            return None
        chunk = self._parse(event)
        self._ending = []
        if self._head and (text := plain_text(chunk)) is not None:
            return self._plain(chunk, text)
        choices = known_choices(chunk.get("choices"), "delta")
        for choice in choices:
            self._choice(choice)
        if self._reported.read(chunk):
            self._counted_at = self.tokens
        if not choices:
            return None
        # Nothing is copied where nothing stays behind.
        shown = chunk if chunk.keys() <= KEPT else {key: value for key, value in chunk.items() if key in KEPT}
        shown["choices"] = list[JSON](choices)
        if "model" in shown:
            shown["model"] = self._model
        hide_fingerprint(shown)
        if not self._head:
            self._head = {key: shown[key] for key in ("id", "created", "system_fingerprint") if key in shown}
            self._head["object"] = shown.get("object")
        return shown

    def _plain(self, chunk: Object, text: str) -> Object:
        """What becomes of a chunk in which nothing but a piece of text is said."""
        self.tokens += tokens_of(text)
        if self._text is not None and text:
            self._text.append(text)
        chunk.pop("usage", None)
        chunk["model"] = self._model
        hide_fingerprint(chunk)
        return chunk

    def usage_chunk(self) -> Object:
        """The chunk that carries the usage, as OpenAI's: `choices` is empty."""
        return {**self._head, "model": self._model, "choices": [], "usage": usage_object(self.usage)}

    def cut_chunk(self, *, chat: bool) -> Object:
        """The chunk that ends every choice that is still open, as an engine does at `max_tokens`. It stands in place of
        the latest event, so what that one would have ended is open, too."""
        said: Object = {"delta": {}} if chat else {"text": ""}
        self._finished.difference_update(self._ending)
        still = [index for index in range(self._expected) if index not in self._finished]
        self.cut, self.finish = True, "length"
        self._finished.update(still)
        choices: list[JSON] = [{"index": index, **said, "logprobs": None, "finish_reason": "length"} for index in still]
        return {**self._head, "model": self._model, "choices": choices}

    def _parse(self, event: Event) -> Object:
        try:
            chunk: JSON = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise EngineBroke("an event is not JSON") from None
        if not isinstance(chunk, dict):
            raise EngineBroke("an event is not an object")
        if event.failed or chunk.get("error"):
            raise EngineBroke("error event: " + error_code(chunk))
        return chunk

    def _choice(self, choice: Object) -> None:
        said = choice.get("index", 0)
        index = said if isinstance(said, int) else 0
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._fragments.tidy(index, delta)
            normalise_reasoning(delta)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self.finish = choice["finish_reason"] = finished(finish, called=self._fragments.called(index))
            if 0 <= index < self._expected:
                self._finished.add(index)
                self._ending.append(index)
        elif finish is not None:
            choice["finish_reason"] = None
        self.tokens += tokens_in(choice, "delta")
        if self._text is not None:
            self._text.extend(texts(choice, "delta"))


def hide_fingerprint(shown: Object) -> None:
    """Make `system_fingerprint` opaque: equal ones still mean an equal engine, but mlx-lm writes its host's kernel and
    versions into it."""
    fingerprint = shown.get("system_fingerprint")
    if isinstance(fingerprint, str):
        shown["system_fingerprint"] = _opaque(fingerprint)
    else:
        shown.pop("system_fingerprint", None)


@lru_cache(maxsize=256)
def _opaque(fingerprint: str) -> str:
    return "fp_" + blake2b(fingerprint.encode(errors="replace"), digest_size=5).hexdigest()


def normalise_reasoning(message: Object) -> None:
    """Give a delta or message both spellings of its reasoning: llama-server writes `reasoning_content`, vLLM, mlx-lm
    and Ollama write `reasoning`; clients read the one or the other (facts/engines.md section 0, rule 5)."""
    if "reasoning" in message:
        message.setdefault("reasoning_content", message["reasoning"])
    elif "reasoning_content" in message:
        message["reasoning"] = message["reasoning_content"]


def error_code(document: Object) -> str:
    """The type or code of an engine's error if it is a plain word: texts may quote the prompt and are never kept."""
    error = as_object(document.get("error", document))
    return word(error.get("code")) or word(error.get("type")) or "unnamed"
