"""What Ollama's routes take. Names and types: ollama 0.32 `api/types.go`, ollama-python 0.6.3, facts/engines.md 3.

Dropped and named: options of a model's start (`num_ctx`, `num_gpu`, ...), since a caller must not make an engine load a
model anew; `keep_alive`, since how long a model stays is not one caller's to say; `template`, a program; `context`, the
tokens of another tokenizer. Stricter than Ollama: integers have no fraction, `num_predict` is not 0, `raw` and `suffix`
do not go with what only a chat can have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge.dialects.ollama.pictures import SIGNS
from edge.intake.fields import Field, Record, Trail, fail
from edge.intake.kinds import Array, Union
from edge.intake.leaves import Choice, Int, Number, Text
from edge.intake.openai_messages import (
    ARGUMENTS,
    CALLED_NAME,
    IDENTIFIER,
    MAX_MEDIA,
    MAX_TURNS,
    PROSE,
    SCHEMA,
    TOOLS,
    Media,
)
from edge.intake.openai_params import CEILINGS, FLAG, MODEL, SAMPLING, ModelName
from policies.call import Form, Operation
from policies.json import Object
from policies.reasons import Reason

_SHARED: Final = frozenset(
    {
        "frequency_penalty",
        "min_p",
        "presence_penalty",
        "repeat_last_n",
        "repeat_penalty",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
    }
)
_OF_THE_START: Final = (
    "draft_num_predict",
    "embedding_only",
    "f16_kv",
    "logits_all",
    "low_vram",
    "main_gpu",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_gqa",
    "num_keep",
    "num_thread",
    "numa",
    "penalize_newline",
    "rope_frequency_base",
    "rope_frequency_scale",
    "tfs_z",
    "use_mlock",
    "use_mmap",
    "vocab_only",
)
NO_TOKENS: Final = "It must be at least 1, or -1 or -2 for no limit."


def _some_tokens(options: Object, at: Trail) -> None:
    if options.get("num_predict") == 0:
        fail((at, "num_predict"), NO_TOKENS)


_OPTIONS: Final = Record(
    Field("num_predict", Int(-2, CEILINGS.max_tokens)),
    *(field for field in SAMPLING if field.name in _SHARED),
    dropped=_OF_THE_START,
    rule=_some_tokens,
)
_FORMAT: Final = Union(Choice("", "json"), SCHEMA, hint="It must be json or a JSON Schema without remote references.")
_THINK: Final = Union(
    FLAG, Choice("low", "medium", "high", "max"), hint="It must be true, false, low, medium, high or max."
)
# Go's durations, and bare numbers, which are seconds.
_DURATION: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+)", re.ASCII)
_KEEP_ALIVE: Final = Union(
    Number(-1e12, 1e12), Text(1, 64, _DURATION), hint="It must be a number of seconds or a duration such as 5m."
)
PICTURE: Final = Media(
    re.compile("|".join(SIGNS.values()), re.ASCII), "It must be a PNG, JPEG, WebP or GIF image in base64."
)
_PICTURES: Final = Field("images", Array(PICTURE, 0, MAX_MEDIA))

_CALLED: Final = Record(Field("name", CALLED_NAME, required=True), Field("arguments", ARGUMENTS), dropped=("index",))
_TOOL_CALL: Final = Record(
    Field("id", Text(0, 256, IDENTIFIER.form)),
    Field("type", Choice("function")),
    Field("function", _CALLED, required=True),
    dropped=("index",),
)
_MESSAGE: Final = Record(
    Field("role", Choice("system", "user", "assistant", "tool"), required=True),
    Field("content", PROSE),
    Field("thinking", PROSE),
    _PICTURES,
    Field("tool_calls", Array(_TOOL_CALL, 0, 256)),
    Field("tool_name", Text(0, 256, CALLED_NAME.form)),
    Field("tool_call_id", Text(0, 256, IDENTIFIER.form)),
)
_ANSWER: Final = (
    MODEL,
    Field("stream", FLAG),
    Field("format", _FORMAT),
    Field("options", _OPTIONS),
    Field("think", _THINK),
    Field("logprobs", FLAG),
    Field("top_logprobs", Int(0, 20)),
    Field("keep_alive", _KEEP_ALIVE),
)
_USELESS: Final = ("truncate", "shift", "_debug_render_only", "debug_render_only")

_CHAT: Final = Record(
    *_ANSWER,
    Field("messages", Array(_MESSAGE, 0, MAX_TURNS)),
    Field("tools", TOOLS),
    dropped=_USELESS,
)

PLAIN: Final = "It does not go with raw or suffix."


def _plain(body: Object, at: Trail) -> None:
    """A prompt that no template is put around has no system, no pictures and, as engines go, no format."""
    if body.get("raw") is not True and not body.get("suffix"):
        return
    for name in ("system", "images", "format"):
        if body.get(name):
            fail((at, name), PLAIN)


_GENERATE: Final = Record(
    *_ANSWER,
    Field("prompt", PROSE),
    Field("suffix", PROSE),
    Field("system", PROSE),
    Field("raw", FLAG),
    _PICTURES,
    dropped=(*_USELESS, "context", "height", "steps", "template", "width"),
    rule=_plain,
)

_OF_A_CHAT: Final = ("keep_alive", "options", "truncate")
_EMBED: Final = Record(
    MODEL,
    Field(
        "input",
        Union(PROSE, Array(PROSE, 1, 2048), hint="It must be a string or a list of 1 to 2048 strings."),
        required=True,
    ),
    Field("dimensions", Int(1, 16_384)),
    dropped=_OF_A_CHAT,
)
_EMBEDDING: Final = Record(MODEL, Field("prompt", PROSE, required=True), dropped=_OF_A_CHAT)


def _some_name(body: Object, at: Trail) -> None:
    body["model"] = body.get("model") or body.pop("name", None)  # litellm still sends the older `name`
    if body["model"] is None:
        fail((at, "model"), None, Reason.MISSING_PARAMETER)


_SHOW: Final = Record(
    Field("model", ModelName()),
    Field("name", ModelName()),
    dropped=("options", "system", "template", "verbose"),
    rule=_some_name,
)

ENCRYPTED: Final = "Models are fetched over TLS."


def _safe(body: Object, at: Trail) -> None:
    _some_name(body, at)
    if body.pop("insecure", False) is True:
        fail((at, "insecure"), ENCRYPTED)


_PULL: Final = Record(
    Field("model", ModelName()),
    Field("name", ModelName()),
    Field("stream", FLAG),
    Field("insecure", FLAG),
    dropped=("password", "username"),  # of a registry: no credential of a caller's reaches an engine
    rule=_safe,
)
_DELETE: Final = Record(Field("model", ModelName()), Field("name", ModelName()), rule=_some_name)

SPECS: Final[Mapping[tuple[Operation, Form], Record]] = MappingProxyType(
    {
        (Operation.CHAT, Form.ONLY): _CHAT,
        (Operation.CHAT, Form.GENERATE): _GENERATE,
        (Operation.EMBEDDINGS, Form.ONLY): _EMBED,
        (Operation.EMBEDDINGS, Form.EMBEDDING): _EMBEDDING,
        (Operation.MODELS_SHOW, Form.ONLY): _SHOW,
        (Operation.MODELS_PULL, Form.ONLY): _PULL,
        (Operation.MODELS_DELETE, Form.ONLY): _DELETE,
    }
)
