"""What is asked: one call, whatever dialect it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from policies.json import Object


class Dialect(StrEnum):
    """The wire format of the caller; errors are rendered in it."""

    OPENAI = "openai"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"
    MODEL_RUNNER = "model-runner"
    """Docker Model Runner's own routes; what it takes from OpenAI is `OPENAI`."""


class Operation(StrEnum):
    """What the caller wants done; the names are those of the policy input (facts A4)."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"
    SCORE = "score"
    TOKENIZE = "tokenize"
    MODELS_LIST = "models.list"
    MODELS_SHOW = "models.show"
    MODELS_PULL = "models.pull"
    MODELS_DELETE = "models.delete"
    ME = "me"


GENERATING: Final = frozenset({Operation.CHAT, Operation.COMPLETIONS})
"""What has a model write: it can be streamed, and is held to limits of tokens written."""
JUDGING: Final = frozenset({Operation.RERANK, Operation.SCORE, Operation.TOKENIZE})
"""What is answered by numbers about the caller's texts."""
STOCK: Final = frozenset({Operation.MODELS_PULL, Operation.MODELS_DELETE})
"""What changes which models there are. No model answers, so there are no tokens, and no time on the engine."""


class Form(StrEnum):
    """Which answer is meant, where a dialect has several for one operation."""

    ONLY = "only"
    GENERATE = "generate"  # Ollama's /api/generate, beside /api/chat
    EMBEDDING = "embedding"  # its older /api/embeddings, beside /api/embed
    LOADED = "loaded"  # its /api/ps, beside /api/tags
    VERSION = "version"
    BANNER = "banner"  # its `/`


class Aim(StrEnum):
    """What a call is for. Ollama's callers ask without a prompt for a model to be loaded, or unloaded."""

    ANSWER = "answer"
    LOAD = "load"
    UNLOAD = "unload"


@dataclass(slots=True)
class Call:
    """A parsed, checked request.

    `body` holds only known parameters with checked types: it is what adapters build the engine's body from. `model` is
    the name as the caller wrote it. `engine` is set when the path named one (`/engines/{engine}/v1/...`).
    `include_usage` says whether a streaming caller asked for the usage chunk. `ignored` names dropped unknown fields.
    `max_tokens` is what the caller asked for, None if nothing. `counts`: only the prompt's tokens are wanted. `asked`
    is the checked request in its own dialect, where answers repeat it. `presets` are those that count, and `clamped`
    the parameters of the caller's that they changed (edge/presets).
    """

    operation: Operation
    dialect: Dialect
    model: str = ""
    engine: str | None = None
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    n: int = 1
    body: Object = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    counts: bool = False
    form: Form = Form.ONLY
    aim: Aim = Aim.ANSWER
    asked: Object = field(default_factory=dict)
    presets: tuple[str, ...] = ()
    clamped: tuple[str, ...] = ()
