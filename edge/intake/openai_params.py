"""What the OpenAI routes take, with a type on every parameter and a range on every number.

Known parameters are those of the OpenAI API (openai-python 3.52, facts/engines.md 4.3) and the sampling ones that the
engines have beside it (facts 2.1-2.6). Everything else is unknown, on purpose also what engines know but callers must
not steer: `cache_salt`, `id_slot`, `n_discard`, `priority`, `lora`, `adapters`, `draft_model`, `role_mapping`,
`keep_alive`, `ttl`, `num_ctx`, `chat_template`, `grammar`, `guided_*`, `structured_outputs`, `kv_transfer_params`,
`prompt_logprobs`, `ignore_eos`, `min_tokens` (facts/security.md 3.2 and 3.3).

Where we are laxer than OpenAI: temperature goes to 5 (local models are sampled with min_p at 3 and more; no engine
minds). Where stricter: `max_tokens` of 0 and -1 is refused (LM Studio's "no limit" is to leave it out).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge.intake.fields import Field, Kind, Record, Trail, fail
from edge.intake.kinds import Array, Map, Union
from edge.intake.leaves import Choice, Flag, Int, Leaf, Number, Text
from edge.intake.openai_messages import MESSAGES, PROSE, RESPONSE_FORMAT, TOOL_CHOICE, TOOLS
from edge.intake.strict_json import INT_HIGH, INT_LOW
from policies.call import Operation
from policies.json import JSON, Object
from policies.names import is_name


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What an operator may move: answers per prompt, prompts per request, both together, tokens per answer.

    vLLM's own cap on `n` is 16,384: each is a whole generation.
    """

    n: int = 16
    prompts: int = 128
    generations: int = 256
    max_tokens: int = 1_048_576


CEILINGS: Final = Ceilings()


class ModelName(Leaf):
    """A string that can be a model's name at all; whether there is such a model is the catalogue's to say."""

    hint = "It must be the name of a model: at most 256 letters, digits and ._:/@+-"
    types = frozenset({str})

    def fits(self, value: JSON) -> bool:
        return isinstance(value, str) and is_name(value)


MODEL: Final = Field("model", ModelName(), required=True)
FLAG: Final = Flag()
LABEL: Final = Text(0, 512)
# The largest vocabularies have 262,144 entries; which one a model has is not known here. So for an engine that does not
# check ids against its own, its adapter has to: mlx_lm indexes with `logit_bias`, and MLX writes out of bounds then
# (measured on its CPU build: heap corruption or a crash at ids beyond the vocabulary).
TOKEN: Final = Int(0, 1_048_575)
TOKENS: Final = Array(TOKEN, 1, 200_000)

_STOP: Final = Text(1, 1024)
STOP: Final = Union(_STOP, Array(_STOP, 0, 16), hint="It must be a string or a list of at most 16 strings.")
LOGIT_BIAS: Final = Map(
    re.compile(r"[0-9]{1,7}", re.ASCII),
    Number(-100, 100),
    1024,
    "It must map at most 1024 token ids to numbers from -100 to 100.",
)
METADATA: Final = Map(
    re.compile(r"[^\x00-\x1f\x7f]{1,64}"),
    LABEL,
    64,
    "It must map at most 64 names to strings of at most 512 characters.",
)

# Known to OpenAI's API or its clients, of no use to an engine here: dropped and named, never refused. `functions` are
# tools of 2023 that only one engine still reads.
USELESS: Final = (
    "audio",
    "function_call",
    "functions",
    "modalities",
    "moderation",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "verbosity",
    "web_search_options",
)

_STREAMING: Final = (
    Field("stream", FLAG),
    Field(
        "stream_options",
        # Only what the gateway itself answers to: it makes its own options for the engine.
        Record(Field("include_usage", FLAG), dropped=("include_obfuscation", "continuous_usage_stats")),
    ),
)
SAMPLING: Final = (
    Field("temperature", Number(0, 5)),
    Field("top_p", Number(0, 1)),
    Field("top_k", Int(-1, 100_000)),
    Field("min_p", Number(0, 1)),
    Field("typical_p", Number(0, 1)),
    # Logits are divided by these: 0 is refused.
    Field("repeat_penalty", Number(0.01, 10)),
    Field("repetition_penalty", Number(0.01, 10)),
    # llama.cpp allocates a ring of so many tokens.
    Field("repeat_last_n", Int(-1, 65_536)),
    Field("frequency_penalty", Number(-2, 2)),
    Field("presence_penalty", Number(-2, 2)),
    Field("seed", Int(INT_LOW, INT_HIGH)),
    Field("stop", STOP),
    Field("logit_bias", LOGIT_BIAS),
    Field("user", LABEL),
    Field("metadata", METADATA),
)
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Of reasoning, the least first."""
# Templates are programs: only the one switch that engines share is passed on (vLLM CVE-2025-62426).
_TEMPLATE: Final = Record(Field("enable_thinking", FLAG))


def _prompts(most: int) -> Kind:
    return Union(
        PROSE,
        Array(PROSE, 1, most),
        TOKENS,
        Array(TOKENS, 1, most),
        hint=f"It must be a string, tokens, or a list of 1 to {most} of either.",
    )


def _chat(top: Ceilings) -> Record:
    return Record(
        MODEL,
        Field("messages", MESSAGES, required=True),
        *_STREAMING,
        *SAMPLING,
        Field("n", Int(1, top.n)),
        Field("max_tokens", Int(1, top.max_tokens)),
        Field("max_completion_tokens", Int(1, top.max_tokens)),
        Field("logprobs", FLAG),
        Field("top_logprobs", Int(0, 20)),
        Field("response_format", RESPONSE_FORMAT),
        Field("tools", TOOLS),
        Field("tool_choice", TOOL_CHOICE),
        Field("parallel_tool_calls", FLAG),
        Field("reasoning_effort", Choice(*EFFORTS)),
        Field("chat_template_kwargs", _TEMPLATE),
        dropped=USELESS,
    )


def _completions(top: Ceilings) -> Record:
    def rule(body: Object, at: Trail) -> None:
        if prompts_in(body["prompt"]) * count(body.get("n")) > top.generations:
            fail((at, "prompt"), f"Prompts times n may be at most {top.generations}.")

    return Record(
        MODEL,
        Field("prompt", _prompts(top.prompts), required=True),
        *_STREAMING,
        *SAMPLING,
        Field("n", Int(1, top.n)),
        Field("max_tokens", Int(1, top.max_tokens)),
        Field("logprobs", Int(0, 5)),
        Field("echo", FLAG),
        Field("suffix", PROSE),
        # Computes more than it shows, so that `n` would no longer say what is computed; no adapter sends it on.
        dropped=(*USELESS, "best_of"),
        rule=rule,
    )


def _embeddings() -> Record:
    return Record(
        MODEL,
        Field("input", _prompts(2048), required=True),
        Field("encoding_format", Choice("float", "base64")),
        Field("dimensions", Int(1, 16_384)),
        Field("user", LABEL),
        dropped=USELESS,
    )


def count(value: JSON) -> int:
    """A checked count, 1 if absent."""
    return value if isinstance(value, int) else 1


def prompts_in(prompt: JSON) -> int:
    """How many prompts a checked `prompt` holds: a list of tokens is one."""
    if isinstance(prompt, list) and not isinstance(prompt[0], int):
        return len(prompt)
    return 1


def specs(top: Ceilings = CEILINGS) -> Mapping[Operation, Record]:
    """The spec of each operation that has a body."""
    return MappingProxyType(
        {
            Operation.CHAT: _chat(top),
            Operation.COMPLETIONS: _completions(top),
            Operation.EMBEDDINGS: _embeddings(),
        }
    )


SPECS: Final = specs()
