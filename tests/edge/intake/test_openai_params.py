"""The parameters of each operation: types, ranges on every number, and what is not let through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params

from edge.intake.fields import check
from edge.intake.openai_params import SPECS, USELESS, Ceilings, specs
from policies.call import Operation
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.refusals import refused
from tests.edge.intake.samples import FULL, full, objects

OPERATIONS = list(FULL)
SAMPLED = [Operation.CHAT, Operation.COMPLETIONS]
# Facts 3.2, 3.3 and 2.1-2.6: what engines know and callers must not steer.
DANGEROUS = [
    "n_discard",
    "id_slot",
    "cache_prompt",
    "n_predict",
    "n_keep",
    "n_probs",
    "grammar",
    "grammar_lazy",
    "json_schema",
    "samplers",
    "lora",
    "adapters",
    "draft_model",
    "role_mapping",
    "num_draft_tokens",
    "keep_alive",
    "ttl",
    "options",
    "num_ctx",
    "num_predict",
    "chat_template",
    "reasoning_format",
    "cache_salt",
    "priority",
    "kv_transfer_params",
    "prompt_logprobs",
    "prompt_token_ids",
    "guided_json",
    "guided_regex",
    "guided_grammar",
    "guided_choice",
    "structured_outputs",
    "ignore_eos",
    "min_tokens",
    "truncate_prompt_tokens",
    "add_generation_prompt",
    "documents",
    "mm_processor_kwargs",
    "logits_processors",
    "vllm_xargs",
    "request_id",
    "return_token_ids",
    "allowed_token_ids",
    "bad_words",
    "use_beam_search",
    "t_max_predict_ms",
    "speculative",
    "post_sampling_probs",
    "timings_per_token",
    "stream_interval",
    "previous_response_id",
    "best_of_n",
    "truncate",
    "template",
    "raw",
    "context",
    "images",
    "think",
    "format",
    "system",
    "extra_body",
    "thinking",
    "context_management",
    "output_config",
    "client_metadata",
    "include",
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("strict", [False, True])
def test_everything_known_goes_on(operation: Operation, strict: bool) -> None:
    assert check(FULL[operation], SPECS[operation], strict=strict) == (FULL[operation], ())
    assert FULL[operation].keys() == SPECS[operation].fields().keys()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_engines_must_not_hear_from_callers_is_unknown(operation: Operation) -> None:
    spec = SPECS[operation]
    assert not set(DANGEROUS) & set(spec.names)
    for name in DANGEROUS:
        document: Object = {**full(operation), name: -1}
        assert check(document, spec) == (FULL[operation], (name,))
        with refused(Reason.UNKNOWN_PARAMETER):
            check(document, spec, strict=True)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_useless_ones_are_dropped_and_named_even_when_strict(operation: Operation) -> None:
    spec = SPECS[operation]
    document: Object = {**full(operation), **dict.fromkeys(USELESS, "x")}
    clean, ignored = check(document, spec, strict=True)
    assert clean == FULL[operation]
    assert sorted(ignored) == sorted(USELESS)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        (Operation.CHAT, chat_create_params.CompletionCreateParamsBase),
        (Operation.COMPLETIONS, completion_create_params.CompletionCreateParamsBase),
        (Operation.EMBEDDINGS, embedding_create_params.EmbeddingCreateParams),
    ],
)
def test_every_parameter_of_openais_own_client_is_known(operation: Operation, params: type) -> None:
    assert set(params.__annotations__) <= set(SPECS[operation].names)


FOLDS = str.maketrans({"s": "\u017f", "k": "\u212a", "i": "\u0131"})


def _spellings(name: str) -> Iterator[str]:
    yield from {name.upper(), name.title(), name.translate(FOLDS), "\uff54" + name[1:], name + "\0"} - {name}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_second_spelling_is_refused_at_every_level(operation: Operation) -> None:
    """Go's decoder would take it for the first (F2): each key of each object, by case and by Unicode."""
    document, spec, tried = full(operation), SPECS[operation], 0
    for place in list(objects(document)):
        for name in list(place):
            for spelling in _spellings(name):
                if spelling[0] == "\uff54" and name[0] != "t":
                    continue
                place[spelling] = place[name]
                with pytest.raises(Refusal, match=r"^invalid_parameter$"):
                    check(document, spec)
                del place[spelling]
                tried += 1
    assert check(document, spec) == (FULL[operation], ())
    assert tried > 3 * len(document)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_unknown_names_are_dropped_at_every_level(operation: Operation) -> None:
    document = full(operation)
    for place in list(objects(document)):
        place["frobnicate"] = {"a": [1]}
        place["max-tokens"] = 5
    clean, ignored = check(document, SPECS[operation])
    assert clean == FULL[operation]
    assert "frobnicate" in ignored
    assert all(name.rpartition(".")[2] in {"frobnicate", "max-tokens"} for name in ignored)


RANGES: dict[str, tuple[list[JSON], list[JSON]]] = {
    "temperature": ([0, 0.0, 1, 5], [-0.1, 5.1, 1e308, "1", True]),
    "top_p": ([0, 1], [-0.1, 1.1]),
    "top_k": ([-1, 0, 40], [-2, 10**6, 1.0]),
    "min_p": ([0, 1], [-1, 2]),
    "typical_p": ([0, 1], [-1, 2]),
    "repeat_penalty": ([0.01, 10], [0, -1, 11]),
    "repetition_penalty": ([0.01, 10], [0, -1, 11]),
    "repeat_last_n": ([-1, 0, 65536], [-2, 65537, 10**12]),
    "frequency_penalty": ([-2, 2], [-2.1, 2.1]),
    "presence_penalty": ([-2, 2], [-2.1, 2.1]),
    "seed": ([-(2**63), 2**63 - 1, 0], [1.5, "1", True]),
    "n": ([1, 16], [0, -1, 17, 16384, 1.0]),
    "max_tokens": ([1, 1_048_576], [0, -1, -2, 10**9, "5", 100.0, True, [1]]),
    "stop": (["a", [], ["a"] * 16], ["", ["a"] * 17, [""], [1], {}, "a" * 1025]),
    "logit_bias": ([{}, {"1": -100}], [{"1": -101}, {"a": 1}, {"-1": 1}, {"12345678": 1}, {"1": True}, [1]]),
    "stream": ([True, False], ["true", 1]),
    "stream_options": ([{}, {"include_usage": False}], [[], True, {"include_usage": 1}]),
    "user": ([""], ["x" * 513, 1]),
    "metadata": ([{}], [{"a": 1}, {"a" * 65: ""}, {"": ""}, []]),
    "model": (["a", "hf.co/A/B:Q4_K_M"], ["", "a b", "a\0", "../a", "é", "x" * 257, 1, ["a"], "http://x/", "-a"]),
}
CHAT_RANGES: dict[str, tuple[list[JSON], list[JSON]]] = {
    "max_completion_tokens": RANGES["max_tokens"],
    "logprobs": ([True, False], [1, 5]),
    "top_logprobs": ([0, 20], [-1, 21]),
    "reasoning_effort": (["none", "minimal", "low", "medium", "high", "xhigh", "max"], ["", "HIGH", 1]),
    "parallel_tool_calls": ([True], [1]),
    "chat_template_kwargs": ([{}, {"enable_thinking": True}], [{"enable_thinking": "x"}, [], "x"]),
    "messages": ([[{"role": "user", "content": ""}]], [[], {}, "x", [None]]),
}
COMPLETIONS_RANGES: dict[str, tuple[list[JSON], list[JSON]]] = {
    "prompt": (
        ["", "a", ["a"], ["a"] * 128, [1, 2], [[1], [2]], [0, 1_048_575]],
        [[], {}, 1, ["a", 1], ["a"] * 129, [-1], [1_048_576], [1.0], [True], [[]], [[[1]]], [None]],
    ),
    "logprobs": ([0, 5], [-1, 6, True]),
    "echo": ([True], [1]),
    "suffix": (["", "x"], [1]),
}
EMBEDDINGS_RANGES: dict[str, tuple[list[JSON], list[JSON]]] = {
    "input": (["", ["a"] * 2048, [1], [[1]] * 2048], [[], ["a"] * 2049, [[]], {}, 1, ["a", 1], [-1]]),
    "encoding_format": (["float", "base64"], ["Float", "int8", 1]),
    "dimensions": ([1, 16384], [0, -1, 16385, 1.0]),
    "user": RANGES["user"],
    "model": RANGES["model"],
}
CASES = [
    *((operation, name, *cases) for operation in SAMPLED for name, cases in RANGES.items()),
    *((Operation.CHAT, name, *cases) for name, cases in CHAT_RANGES.items()),
    *((Operation.COMPLETIONS, name, *cases) for name, cases in COMPLETIONS_RANGES.items()),
    *((Operation.EMBEDDINGS, name, *cases) for name, cases in EMBEDDINGS_RANGES.items()),
]


@pytest.mark.parametrize(("operation", "name", "good", "bad"), CASES)
def test_ranges(operation: Operation, name: str, good: list[JSON], bad: list[JSON]) -> None:
    least = {n: v for n, v in FULL[operation].items() if n in {"model", "messages", "prompt", "input"}}
    for value in good:
        assert check({**least, name: value}, SPECS[operation])[0][name] == value
    for value in bad:
        with pytest.raises(Refusal, match=r"^(invalid|missing)_parameter$"):
            check({**least, name: value}, SPECS[operation])


def test_every_number_of_every_operation_has_its_range_tested() -> None:
    tested = {(operation, name) for operation, name, _, _ in CASES}
    elsewhere = {"response_format", "tools", "tool_choice"}  # test_openai_messages
    wanted = {
        (operation, name) for operation in OPERATIONS for name in SPECS[operation].fields() if name not in elsewhere
    }
    assert tested == wanted


def test_template_arguments_are_one_switch() -> None:
    document: Object = {
        **full(Operation.CHAT),
        "chat_template_kwargs": {"enable_thinking": True, "tools": [], "x": "y" * 9},
    }
    clean, ignored = check(document, SPECS[Operation.CHAT])
    assert clean["chat_template_kwargs"] == {"enable_thinking": True}
    assert ignored == ("chat_template_kwargs.tools", "chat_template_kwargs.x")


def test_prompts_times_answers_have_a_ceiling() -> None:
    spec = SPECS[Operation.COMPLETIONS]
    assert check({"model": "m", "prompt": ["a"] * 16, "n": 16}, spec)
    assert check({"model": "m", "prompt": [1] * 100, "n": 16}, spec)
    with refused(Reason.INVALID_PARAMETER, "prompt"):
        check({"model": "m", "prompt": ["a"] * 17, "n": 16}, spec)
    with refused(Reason.INVALID_PARAMETER, "prompt"):
        check({"model": "m", "prompt": [[1]] * 100, "n": 3}, spec)


def test_ceilings_are_the_operators() -> None:
    own = specs(Ceilings(n=1, prompts=2, max_tokens=10))
    with refused(Reason.INVALID_PARAMETER, "n"):
        check({"model": "m", "messages": [{"role": "user", "content": ""}], "n": 2}, own[Operation.CHAT])
    with refused(Reason.INVALID_PARAMETER, "max_tokens"):
        check({"model": "m", "prompt": "", "max_tokens": 11}, own[Operation.COMPLETIONS])
    with refused(Reason.INVALID_PARAMETER, "prompt"):
        check({"model": "m", "prompt": ["", "", ""]}, own[Operation.COMPLETIONS])
