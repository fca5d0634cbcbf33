"""Only exact routes exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.routes import Entry, Route, Routes, Stored, dialect_of, is_health
from policies.call import Dialect, Form, Operation
from policies.names import is_name
from tests.edge.intake.fuzzing import CALM

ROUTES = Routes()
BELOW = [
    ("POST", "/chat/completions", Operation.CHAT),
    ("POST", "/completions", Operation.COMPLETIONS),
    ("POST", "/embeddings", Operation.EMBEDDINGS),
    ("POST", "/rerank", Operation.RERANK),
    ("POST", "/score", Operation.SCORE),
    ("GET", "/models", Operation.MODELS_LIST),
]
MOUNTS = [
    ("/v1", None),
    ("/engines/v1", None),
    ("/engines/llama.cpp/v1", "llama.cpp"),
    ("/engines/vllm/v1", "vllm"),
    ("/engines/my-mac_2/v1", "my-mac_2"),
    ("/engines/v1x/v1", "v1x"),
    ("/engines/models/v1", "models"),
]


@pytest.mark.parametrize(("mount", "engine"), MOUNTS)
@pytest.mark.parametrize(("method", "path", "operation"), BELOW)
def test_every_dialect_route_exists_at_every_mount_point(
    mount: str, engine: str | None, method: str, path: str, operation: Operation
) -> None:
    shown = "/engines/{engine}/v1" if engine else mount
    assert ROUTES.match(method, mount + path) == Route(operation, Dialect.OPENAI, shown + path, engine)


@pytest.mark.parametrize(("mount", "engine"), MOUNTS)
@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("tiny", "tiny"),
        ("ai/smollm2:360M", "ai/smollm2:360M"),
        ("ai%2Fsmollm2:360M", "ai/smollm2:360M"),  # openai-python and openai-js
        ("ai%2fsmollm2%3a360M", "ai/smollm2:360M"),
        ("hf.co%2FOrg%2FRepo%40sha%2B1", "hf.co/Org/Repo@sha+1"),
        ("ai/smollm2%3Alatest", "ai/smollm2:latest"),
        ("v1/models", "v1/models"),
        ("models", "models"),
    ],
)
def test_a_model_is_named_raw_or_escaped_once(mount: str, engine: str | None, raw: str, name: str) -> None:
    route = ROUTES.match("GET", f"{mount}/models/{raw}")
    assert route is not None
    assert (route.operation, route.engine, route.model) == (Operation.MODELS_SHOW, engine, name)
    assert route.pattern.endswith("/models/{id}")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "..",
        "../api/pull",
        "a/../b",
        "a/./b",
        "%2e%2e%2fapi",
        "..%2Fapi",
        "a%2F%2Fb",
        "a%252Fb",
        "a%25b",
        "a%00",
        "a%20b",
        "a b",
        "a%2",
        "a%",
        "a%61",
        "a\\b",
        "a\n",
        "\uff41",
        "a?b",
        "a#b",
        "x" * 257,
    ],
)
def test_what_cannot_be_a_models_name_is_no_route(raw: str) -> None:
    assert ROUTES.match("GET", "/v1/models/" + raw) is None
    assert ROUTES.match("GET", "/engines/vllm/v1/models/" + raw) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("PUT", "/v1/chat/completions"),
        ("post", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/models/tiny"),
        ("HEAD", "/v1/models"),
        ("HEAD", "/api/tags"),
        ("POST", "/"),
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/chat"),
        ("POST", "/api/chat/"),
        ("POST", "/engines/ollama/api/chat"),
        ("OPTIONS", "*"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat/completions?x"),
        ("POST", "/v1//chat/completions"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/v1/../v1/chat/completions"),
        ("POST", "/v1/%63hat/completions"),
        ("POST", "/chat/completions"),
        ("POST", "/v2/rerank"),
        ("POST", "/v1/reranking"),
        ("GET", "/v1/rerank"),
        ("POST", "/anthropic/v1/rerank"),
        ("POST", "/tokenize"),
        ("POST", "/detokenize"),
        ("POST", "/v1/detokenize"),
        ("POST", "/engines/tokenize"),
        ("POST", "/engines/vllm/tokenize"),
        ("POST", "/engines/vllm/rerank/"),
        ("GET", "/v1/responses"),
        ("POST", "/v1/responses/"),
        ("POST", "/v1/responses/resp_0123456789abcdef0123456789abcdef"),
        ("POST", "/v1/responses/resp_0123456789abcdef0123456789abcdef/cancel"),
        ("DELETE", "/v1/responses/resp_0123456789abcdef0123456789abcdef/input_items"),
        ("GET", "/v1/responses/resp_0123456789abcdef0123456789abcdef/input_items/"),
        ("GET", "/v1/responses/resp_0123456789abcdef0123456789abcde"),
        ("GET", "/v1/responses/resp_0123456789abcdef0123456789abcdef0"),
        ("GET", "/v1/responses/resp_0123456789ABCDEF0123456789ABCDEF"),
        ("GET", "/v1/responses/resp_0123456789abcdef0123456789abcdef\n"),
        ("GET", "/v1/responses/resp_0123456789abcdef0123456789abcde%66"),
        ("GET", "/v1/responses/../models"),
        ("GET", "/v1/responses/"),
        ("GET", "/anthropic/v1/responses/resp_0123456789abcdef0123456789abcdef"),
        ("POST", "/api/pull/"),
        ("DELETE", "/api/delete/x"),
        ("POST", "/api/create"),
        ("POST", "/invocations"),
        ("POST", "/engines/chat/completions"),
        ("POST", "/engines/v1/v1/chat/completions"),
        ("POST", "/engines//v1/chat/completions"),
        ("POST", "/engines/A/v1/chat/completions"),
        ("POST", "/engines/-a/v1/chat/completions"),
        ("POST", "/engines/../v1/chat/completions"),
        ("POST", "/engines/a%2Fb/v1/chat/completions"),
        ("POST", "/engines/a/b/v1/chat/completions"),
        ("POST", "/engines/" + "a" * 65 + "/v1/chat/completions"),
        ("POST", "/engines/a/v1/chat/completions\n"),
        ("GET", "/engines/a/v1/me"),
        ("POST", "/engines/a/_configure"),
        ("GET", "/engines/requests"),
        ("GET", "/logs"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", ""),
    ],
)
def test_everything_else_is_no_route(method: str, path: str) -> None:
    assert ROUTES.match(method, path) is None


@pytest.mark.parametrize(
    ("method", "path", "operation", "form"),
    [
        ("POST", "/api/chat", Operation.CHAT, Form.ONLY),
        ("POST", "/api/generate", Operation.CHAT, Form.GENERATE),
        ("POST", "/api/embed", Operation.EMBEDDINGS, Form.ONLY),
        ("POST", "/api/embeddings", Operation.EMBEDDINGS, Form.EMBEDDING),
        ("POST", "/api/show", Operation.MODELS_SHOW, Form.ONLY),
        ("POST", "/api/pull", Operation.MODELS_PULL, Form.ONLY),
        ("DELETE", "/api/delete", Operation.MODELS_DELETE, Form.ONLY),
        ("GET", "/api/tags", Operation.MODELS_LIST, Form.ONLY),
        ("GET", "/api/ps", Operation.MODELS_LIST, Form.LOADED),
        ("GET", "/api/version", Operation.ME, Form.VERSION),
        ("GET", "/", Operation.ME, Form.BANNER),
        ("HEAD", "/", Operation.ME, Form.BANNER),
    ],
)
def test_ollamas_routes(method: str, path: str, operation: Operation, form: Form) -> None:
    assert ROUTES.match(method, path) == Route(operation, Dialect.OLLAMA, path, form=form)


@pytest.mark.parametrize(("mount", "engine"), MOUNTS)
@pytest.mark.parametrize(
    ("method", "end", "stored"),
    [("GET", "", Stored.SHOW), ("DELETE", "", Stored.DELETE), ("GET", "/input_items", Stored.ITEMS)],
)
def test_a_kept_response_is_named_by_its_exact_id(
    mount: str, engine: str | None, method: str, end: str, stored: Stored
) -> None:
    identity = "resp_0123456789abcdef0123456789abcdef"
    route = ROUTES.match(method, f"{mount}/responses/{identity}{end}")
    assert route is not None
    assert (route.stored, route.response, route.engine) == (stored, identity, engine)
    assert (route.operation, route.dialect) == (Operation.CHAT, Dialect.RESPONSES)
    assert route.pattern.endswith("/v1/responses/{response}" + end)


@pytest.mark.parametrize(("mount", "engine"), MOUNTS)
def test_responses_are_asked_for_and_counted_at_every_mount_point(mount: str, engine: str | None) -> None:
    for path, counts in (("/responses", False), ("/responses/input_tokens", True)):
        route = ROUTES.match("POST", mount + path)
        assert route is not None
        assert (route.dialect, route.counts, route.stored, route.engine) == (Dialect.RESPONSES, counts, None, engine)


@pytest.mark.parametrize(("mount", "engine"), MOUNTS)
def test_tokens_are_counted_at_every_mount_point(mount: str, engine: str | None) -> None:
    route = ROUTES.match("POST", mount + "/tokenize")
    assert route is not None
    assert (route.operation, route.counts, route.engine) == (Operation.TOKENIZE, True, engine)


@pytest.mark.parametrize(("path", "operation"), [("/rerank", Operation.RERANK), ("/score", Operation.SCORE)])
def test_ranking_where_docker_model_runner_and_vllm_have_it(path: str, operation: Operation) -> None:
    assert ROUTES.match("POST", path) == Route(operation, Dialect.OPENAI, path)
    assert ROUTES.match("POST", "/engines" + path) == Route(operation, Dialect.OPENAI, "/engines" + path)
    below = Route(operation, Dialect.OPENAI, "/engines/{engine}" + path, "vllm")
    assert ROUTES.match("POST", "/engines/vllm" + path) == below


@pytest.mark.parametrize(
    ("method", "path", "operation", "model"),
    [
        ("GET", "/models", Operation.MODELS_LIST, ""),
        ("GET", "/models/ai/smollm2:360M", Operation.MODELS_SHOW, "ai/smollm2:360M"),
        ("GET", "/models/create", Operation.MODELS_SHOW, "create"),
        ("POST", "/models/create", Operation.MODELS_PULL, ""),
        ("DELETE", "/models/ai%2Fsmollm2", Operation.MODELS_DELETE, "ai/smollm2"),
        ("DELETE", "/models/create", Operation.MODELS_DELETE, "create"),
    ],
)
def test_model_runners_own_routes(method: str, path: str, operation: Operation, model: str) -> None:
    route = ROUTES.match(method, path)
    assert route is not None
    assert (route.operation, route.dialect, route.model) == (operation, Dialect.MODEL_RUNNER, model)
    assert route.pattern in {"/models", "/models/{id}", "/models/create"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/models/purge"),
        ("DELETE", "/models"),
        ("DELETE", "/models/"),
        ("POST", "/models"),
        ("POST", "/models/load"),
        ("POST", "/models/ai/smollm2/tag"),
        ("POST", "/models/ai/smollm2/push"),
        ("POST", "/models/ai/smollm2/repackage"),
        ("POST", "/models/create/"),
        ("PUT", "/models/create"),
        ("DELETE", "/api/pull"),
        ("POST", "/api/delete"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("POST", "/api/blobs/sha256:0"),
        ("GET", "/engines/ps"),
        ("GET", "/engines/df"),
        ("GET", "/engines/status"),
        ("POST", "/engines/unload"),
        ("POST", "/engines/install-backend"),
        ("POST", "/engines/_configure"),
        ("GET", "/engines/requests"),
    ],
)
def test_what_else_engines_have_there_is_no_route(method: str, path: str) -> None:
    assert ROUTES.match(method, path) is None


@pytest.mark.parametrize(("mount", "engine"), [*MOUNTS, ("/anthropic/v1", None)])
def test_messages_are_asked_for_and_counted_at_every_mount_point(mount: str, engine: str | None) -> None:
    for path, counts in (("/messages", False), ("/messages/count_tokens", True)):
        route = ROUTES.match("POST", mount + path)
        assert route is not None
        assert (route.dialect, route.counts, route.engine) == (Dialect.ANTHROPIC, counts, engine)


def test_who_am_i() -> None:
    assert ROUTES.match("GET", "/v1/me") == Route(Operation.ME, Dialect.OPENAI, "/v1/me")


def test_liveness_is_one_method_on_one_path() -> None:
    assert is_health("GET", "/healthz")
    assert not any(is_health(m, p) for m, p in [("HEAD", "/healthz"), ("GET", "/healthz/"), ("GET", "/health")])


@CALM
@given(st.text(alphabet=st.sampled_from("ab/.%2F:3AeE0\\+@\u212a\n"), max_size=30))
def test_whatever_matches_holds_a_models_name_without_steps_up(raw: str) -> None:
    route = ROUTES.match("GET", "/v1/models/" + raw)
    if route is not None and route.operation is Operation.MODELS_SHOW:
        assert is_name(route.model)
        assert not {"", ".", ".."} & set(route.model.split("/"))


def test_another_dialect_is_a_row_in_the_table() -> None:
    ollama = (Entry("POST", "/chat", Operation.CHAT, Dialect.OLLAMA),)
    routes = Routes(mounts=(("/api", ollama),), engine_mounts=())
    assert routes.match("POST", "/api/chat") == Route(Operation.CHAT, Dialect.OLLAMA, "/api/chat")
    assert routes.match("POST", "/v1/chat/completions") is None


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/api", Dialect.OLLAMA),
        ("/api/pull", Dialect.OLLAMA),
        ("/apix", Dialect.OPENAI),
        ("/v1/messages", Dialect.ANTHROPIC),
        ("/v1/messages/count_tokens", Dialect.ANTHROPIC),
        ("/anthropic/v1/messages", Dialect.ANTHROPIC),
        ("/v1/models", Dialect.OPENAI),
        ("/models", Dialect.MODEL_RUNNER),
        ("/models/ai/smollm2/push", Dialect.MODEL_RUNNER),
        ("/modelsx", Dialect.OPENAI),
        ("/", Dialect.OPENAI),
        ("", Dialect.OPENAI),
    ],
)
def test_errors_elsewhere_are_said_in_the_likeliest_dialect(path: str, dialect: Dialect) -> None:
    assert dialect_of(path) is dialect
