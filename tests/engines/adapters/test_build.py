"""What each engine is sent: one table per quirk of facts/engines.md sections 0, 2 and 3.2."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.registry import ADAPTERS, adapter_for
from engines.contract import Kind, Model
from policies.call import JUDGING, Call, Dialect, Operation
from policies.errors import Refusal
from policies.json import JSON
from policies.reasons import Reason
from tests.engines.adapters.calls import built, chat, completions, embeddings, target

K = Kind
EVERY = pytest.mark.parametrize("kind", list(Kind))
ONE_ANSWER = {K.MLX_LM, K.OLLAMA, K.LLAMA_CPP_PYTHON, K.LM_STUDIO}
FORBIDDEN = ("adapters", "draft_model", "role_mapping", "id_slot", "n_predict", "n_discard", "best_of", "keep_alive",
             "ttl", "user", "store", "metadata", "priority", "grammar", "echo_load_config", "options")  # fmt: skip


def refused(kind: Kind, call: Call) -> Refusal:
    with pytest.raises(Refusal) as caught:
        built(kind, call)
    return caught.value


@EVERY
def test_the_model_is_the_engines_own_id_and_stream_is_ours(kind: Kind) -> None:
    body = built(kind, chat(model="evil", stream=True, stream_options={"x": 1}))
    assert body["model"] == "Own/Id:1"
    assert body["stream"] is False
    assert "stream_options" not in body


@EVERY
def test_usage_is_asked_for_in_streams_where_the_engine_can(kind: Kind) -> None:
    body = built(kind, chat(stream_options={"include_obfuscation": True}), stream=True)
    assert body["stream"] is True
    assert body.get("stream_options") == (None if kind is K.LLAMA_CPP_PYTHON else {"include_usage": True})


@EVERY
def test_what_is_not_on_the_allow_list_is_not_sent(kind: Kind) -> None:
    body = built(kind, chat(**dict.fromkeys(FORBIDDEN, 1), cache_salt="mine"))
    assert not body.keys() & set(FORBIDDEN)
    assert body.get("cache_salt") != "mine"


@EVERY
def test_nulls_are_left_out(kind: Kind) -> None:
    assert "temperature" not in built(kind, chat(temperature=None))


@EVERY
def test_plain_sampling_reaches_every_engine(kind: Kind) -> None:
    sampling: dict[str, JSON] = {"temperature": 0.5, "top_p": 0.9, "stop": ["x"], "seed": 1}
    assert sampling.items() <= built(kind, chat(**sampling)).items()
    assert sampling.items() <= built(kind, completions(**sampling)).items()


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (K.OPENAI, {}),
        (K.DOCKER_MODEL_RUNNER, {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1, "repetition_penalty": 1.1,
                                 "repeat_last_n": 64, "typical_p": 0.9}),
        (K.LLAMA_SERVER, {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1, "repeat_last_n": 64, "typical_p": 0.9}),
        (K.LLAMA_CPP_PYTHON, {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1}),
        (K.MLX_LM, {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "repetition_context_size": 64}),
        (K.VLLM, {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1}),
        (K.OLLAMA, {}),
        (K.LM_STUDIO, {"top_k": 5, "repeat_penalty": 1.1}),
    ],
)  # fmt: skip
def test_extensions_go_by_each_engines_name_for_them(kind: Kind, sent: dict[str, JSON]) -> None:
    asked: dict[str, JSON] = {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1, "repeat_last_n": 64, "typical_p": 0.9}
    names = {*asked, "repetition_penalty", "repetition_context_size"}
    body = built(kind, chat(**asked))
    assert {name: value for name, value in body.items() if name in names} == sent


@pytest.mark.parametrize(("asked", "sent"), [(100_000, 255), (256, 255), (255, 255), (0, 0), (-1, None)])
def test_mlx_never_chooses_among_more_tokens_than_a_vocabulary_has(asked: int, sent: int | None) -> None:
    """Its generation thread would die of it, for everybody."""
    for call in (chat(top_k=asked), completions(top_k=asked)):
        assert built(K.MLX_LM, call).get("top_k") == sent
    assert built(K.VLLM, chat(top_k=asked))["top_k"] == asked


def test_mlx_gets_no_seed_that_is_negative() -> None:
    """It hangs up on one."""
    assert "seed" not in built(K.MLX_LM, chat(seed=-1))
    assert built(K.MLX_LM, chat(seed=-2))["seed"] == built(K.MLX_LM, chat(seed=-2))["seed"] == 2**63 - 2
    assert built(K.MLX_LM, chat(seed=2**63 - 1))["seed"] == 2**63 - 1


@EVERY
def test_the_limit_the_line_settled_on_is_sent_once(kind: Kind) -> None:
    call = chat(max_tokens=900, max_completion_tokens=500)
    call.max_tokens = 100
    limits = {k: v for k, v in built(kind, call).items() if k in ("max_tokens", "max_completion_tokens")}
    assert limits in ({"max_tokens": 100}, {"max_completion_tokens": 100})
    assert kind is K.OPENAI or "max_tokens" in limits


@EVERY
def test_without_a_settled_limit_the_smaller_one_holds(kind: Kind) -> None:
    body = built(kind, chat(max_tokens=900, max_completion_tokens=500))
    assert 500 in body.values()
    assert 900 not in body.values()


@EVERY
def test_more_than_one_answer_is_refused_where_it_would_be_ignored(kind: Kind) -> None:
    for call in (chat(n=2), completions(n=2)):
        if kind in ONE_ANSWER:
            error = refused(kind, call)
            assert (error.reason, error.param) == (Reason.INVALID_PARAMETER, "n")
        else:
            assert built(kind, call)["n"] == 2
    assert "n" not in built(kind, chat(n=1)) or kind not in ONE_ANSWER


@EVERY
def test_a_bias_never_reaches_an_engine_that_checks_no_token_ids(kind: Kind) -> None:
    for ask in (chat, completions):
        if kind in {K.MLX_LM, K.LM_STUDIO}:
            assert refused(kind, ask(logit_bias={"9999999": 5})).param == "logit_bias"
            assert "logit_bias" not in built(kind, ask(logit_bias={}))


def test_mlx_refuses_a_format_it_would_ignore() -> None:
    assert refused(K.MLX_LM, chat(response_format={"type": "json_object"})).param == "response_format"
    assert "response_format" not in built(K.MLX_LM, chat(response_format={"type": "text"}))


@pytest.mark.parametrize("kind", [K.MLX_LM, K.OLLAMA])
def test_tool_choice_is_done_by_hand_where_it_is_ignored(kind: Kind) -> None:
    tools: list[JSON] = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    assert built(kind, chat(tools=tools, tool_choice="auto"))["tools"] == tools
    assert "tools" not in built(kind, chat(tools=tools, tool_choice="none"))
    named: JSON = {"type": "function", "function": {"name": "b"}}
    assert built(kind, chat(tools=tools, tool_choice=named))["tools"] == tools[1:]
    assert "tool_choice" not in built(kind, chat(tools=tools, tool_choice=named))


@pytest.mark.parametrize(
    ("kind", "effort", "sent"),
    [
        (K.LLAMA_SERVER, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        (K.DOCKER_MODEL_RUNNER, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        (K.MLX_LM, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        (K.VLLM, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        (K.OLLAMA, "none", {"reasoning_effort": "none"}),
        (K.OPENAI, "none", {"reasoning_effort": "none"}),
        (K.LM_STUDIO, "none", {}),
        (K.LLAMA_CPP_PYTHON, "none", {}),
        (K.LLAMA_SERVER, "minimal", {"chat_template_kwargs": {"reasoning_effort": "low"}}),
        (K.VLLM, "xhigh", {"reasoning_effort": "high"}),
        (K.OLLAMA, "minimal", {"reasoning_effort": "low"}),
        (K.MLX_LM, "high", {"chat_template_kwargs": {"reasoning_effort": "high"}}),
    ],
)
def test_effort(kind: Kind, effort: str, sent: dict[str, JSON]) -> None:
    body = built(kind, chat(reasoning_effort=effort))
    assert {k: v for k, v in body.items() if k in ("reasoning_effort", "chat_template_kwargs")} == sent


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (K.LLAMA_SERVER, {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}),
        (K.DOCKER_MODEL_RUNNER, {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}),
        (K.MLX_LM, {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}),
        (K.VLLM, {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low"}),
        (K.OLLAMA, {"reasoning_effort": "none"}),
    ],
)
def test_off_has_the_least_effort_beside_it_where_a_preset_says_so(kind: Kind, sent: dict[str, JSON]) -> None:
    switched = chat(chat_template_kwargs={"enable_thinking": False}, reasoning_effort="low")
    none = chat(chat_template_kwargs={"reasoning_effort": "low"}, reasoning_effort="none")
    for call in (switched, none):
        body = built(kind, call)
        assert {k: v for k, v in body.items() if k in ("reasoning_effort", "chat_template_kwargs")} == sent


@EVERY
def test_of_the_template_arguments_only_the_switch_for_thinking_passes(kind: Kind) -> None:
    call = chat(chat_template_kwargs={"enable_thinking": False, "chat_template": "{%…%}", "tokenize": False})
    sent = built(kind, call).get("chat_template_kwargs", {"enable_thinking": False})
    assert sent == {"enable_thinking": False}


@EVERY
def test_callers_are_kept_apart_in_prefix_caches_that_can(kind: Kind) -> None:
    salted = kind in (K.VLLM, K.DOCKER_MODEL_RUNNER)
    assert built(kind, chat(), salt="s1").get("cache_salt") == ("s1" if salted else None)
    assert "cache_salt" not in built(kind, chat(), salt="")
    if kind is not K.MLX_LM:
        assert "cache_salt" not in built(kind, embeddings(), salt="s1")


@EVERY
def test_embeddings_have_no_stream_and_mlx_has_no_embeddings(kind: Kind) -> None:
    if kind is K.MLX_LM:
        assert refused(kind, embeddings()).reason is Reason.OPERATION_NOT_SUPPORTED
    else:
        assert built(kind, embeddings(), stream=True).keys() == {"model", "input"}


@EVERY
@pytest.mark.parametrize("operation", [Operation.MODELS_LIST, Operation.ME])
def test_other_operations_have_no_path(kind: Kind, operation: Operation) -> None:
    assert refused(kind, Call(operation, Dialect.OPENAI)).reason is Reason.OPERATION_NOT_SUPPORTED


@pytest.mark.parametrize("kind", [K.MLX_LM, K.OLLAMA, K.LLAMA_CPP_PYTHON])
def test_one_prompt_as_a_string(kind: Kind) -> None:
    assert built(kind, completions(["only"]))["prompt"] == "only"
    for many in (["a", "b"], [1, 2], [[1, 2]], []):
        assert refused(kind, completions(many)).param == "prompt"  # type: ignore[arg-type]  # lists are invariant


def test_mlx_takes_logprobs_of_completions_in_its_own_way() -> None:
    body = built(K.MLX_LM, completions(logprobs=5))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 5)


def test_models_are_deleted_by_the_id_that_their_engine_lists() -> None:
    model = Model("smollm2", "docker.io/ai/smollm2:latest")
    runner = adapter_for(K.DOCKER_MODEL_RUNNER).delete(model)
    assert runner is not None
    assert (runner.method, runner.path, runner.body) == ("DELETE", "/models/docker.io/ai/smollm2:latest", b"")
    ollama = adapter_for(K.OLLAMA).delete(model)
    assert ollama is not None
    assert (ollama.method, ollama.path) == ("DELETE", "/api/delete")
    assert orjson.loads(ollama.body) == {"model": "docker.io/ai/smollm2:latest"}
    assert {kind for kind, adapter in ADAPTERS.items() if adapter.delete(model)} == {K.DOCKER_MODEL_RUNNER, K.OLLAMA}
    assert {kind for kind, adapter in ADAPTERS.items() if adapter.deletes} == {K.DOCKER_MODEL_RUNNER, K.OLLAMA}


@pytest.mark.parametrize("identity", ["purge", "PURGE", "x?force=true", "../engines/unload", "a b", "x\r\nHost: y", ""])
def test_no_id_makes_another_request_of_it(identity: str) -> None:
    assert adapter_for(K.DOCKER_MODEL_RUNNER).delete(Model("m", identity)) is None


def test_docker_model_runner_is_spoken_to_below_engines() -> None:
    adapter = adapter_for(K.DOCKER_MODEL_RUNNER)
    request = adapter.build(chat(), target(K.DOCKER_MODEL_RUNNER), stream=True, salt="")
    assert request.path == "/engines/v1/chat/completions"
    assert request.body.startswith(b'{"model":"Own/Id:1"')  # it routes by the model


def test_headers_hold_nothing_of_the_caller() -> None:
    for kind, adapter in ADAPTERS.items():
        names = {name for name, _ in adapter.build(chat(), target(kind), stream=True, salt="").headers}
        assert names <= {"content-type", "accept", "host"}
        assert ("host" in names) == (kind is K.OLLAMA)


def test_counting() -> None:
    request = adapter_for(K.LLAMA_CPP_PYTHON).count(target(K.LLAMA_CPP_PYTHON), "héllo")
    assert request is not None
    assert (request.path, request.body) == ("/extras/tokenize/count", '{"model":"Own/Id:1","input":"héllo"}'.encode())
    assert adapter_for(K.LLAMA_CPP_PYTHON).counted({"count": 3}) == 3
    assert adapter_for(K.LLAMA_CPP_PYTHON).counted({"count": -1}) is None
    assert all(a.count(target(k), "x") is None for k, a in ADAPTERS.items() if k is not K.LLAMA_CPP_PYTHON)


def test_the_defaults_the_queue_starts_from() -> None:
    assert {kind: adapter.concurrency for kind, adapter in ADAPTERS.items()} == {
        K.OPENAI: 8, K.DOCKER_MODEL_RUNNER: 4, K.LLAMA_SERVER: 4, K.LLAMA_CPP_PYTHON: 1,
        K.MLX_LM: 4, K.VLLM: 16, K.OLLAMA: 4, K.LM_STUDIO: 4,
    }  # fmt: skip
    assert {kind for kind, a in ADAPTERS.items() if a.always_stream} == {K.MLX_LM, K.LLAMA_CPP_PYTHON}
    assert {kind for kind, a in ADAPTERS.items() if a.listing_disturbs} == {K.LLAMA_CPP_PYTHON}


def test_every_kind_has_its_adapter() -> None:
    assert all(adapter_for(kind).kind is kind for kind in Kind)


def test_what_json_cannot_hold_is_a_refusal() -> None:
    assert refused(K.OPENAI, chat([{"role": "user", "content": "\ud800"}])).reason is Reason.INVALID_JSON


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(
    kind=st.sampled_from(Kind),
    body=st.dictionaries(st.sampled_from([*FORBIDDEN, "n", "tools", "tool_choice", "response_format", "max_tokens",
                                          "reasoning_effort", "chat_template_kwargs", "seed", "logprobs"]), _JSON),
    messages=_JSON,
    operation=st.sampled_from([Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS]),
)  # fmt: skip
def test_any_body_either_builds_within_the_allow_list_or_is_refused(
    kind: Kind, body: dict[str, JSON], messages: JSON, operation: Operation
) -> None:
    call = Call(operation, Dialect.OPENAI, body={"messages": messages, "prompt": messages, "input": "x", **body})
    try:
        sent = built(kind, call)
    except Refusal:
        return
    assert sent["model"] == "Own/Id:1"
    assert not sent.keys() & set(FORBIDDEN)


@EVERY
def test_what_an_engine_has_nothing_for_is_named(kind: Kind) -> None:
    asked: dict[str, JSON] = {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 5,
        "typical_p": 0.9,
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "tool_choice": "auto",
        "user": "u",
        "seed": None,
    }
    assert (
        adapter_for(kind).left_out(chat(**asked))
        == {
            K.OPENAI: ("top_k", "typical_p"),
            K.DOCKER_MODEL_RUNNER: (),
            K.LLAMA_SERVER: (),
            K.LLAMA_CPP_PYTHON: ("typical_p", "parallel_tool_calls", "reasoning_effort"),
            K.MLX_LM: ("typical_p", "parallel_tool_calls"),
            K.VLLM: ("typical_p",),
            K.OLLAMA: ("top_k", "typical_p", "parallel_tool_calls"),
            K.LM_STUDIO: ("typical_p", "parallel_tool_calls", "reasoning_effort"),
        }[kind]
    )


@EVERY
def test_a_call_of_a_tool_that_nobody_can_require_is_named(kind: Kind) -> None:
    named = ("tool_choice",) if kind in {K.MLX_LM, K.OLLAMA} else ()
    assert adapter_for(kind).left_out(chat(tool_choice="required")) == named


@EVERY
@pytest.mark.parametrize("operation", sorted(JUDGING))
def test_of_texts_to_be_judged_nothing_is_left_out(kind: Kind, operation: Operation) -> None:
    body: dict[str, JSON] = {"query": "a", "documents": ["b"], "top_n": 1, "prompt": "c"}
    assert adapter_for(kind).left_out(Call(operation, Dialect.OPENAI, body=body)) == ()
