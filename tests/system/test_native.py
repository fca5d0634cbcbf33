"""Engines that are asked in the caller's own dialect: what they see, and what the caller gets, good and bad."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest

from policies.json import JSON, Object, as_object, as_str
from tests.system import watching
from tests.system.calls import assert_leaving_is_noticed
from tests.system.misbehaviour import SECRET_DETAIL
from tests.system.native_engines import (
    CALL_ID,
    CALLING,
    KINDS,
    PATHS,
    TALK,
    Front,
    answers,
    begin,
    delta,
    event,
    house,
    start,
    streams,
)
from tests.system.process import Key
from tests.system.scripts import ECHOED, Fin, Hold, Reset, Send, Step, Stream, always, chunk, whole
from tests.system.wire import Answer, Event, Wire, compose

MESSAGES = "/v1/messages"
_TRANSLATED = {kind: "/engines/v1" if kind == "docker-model-runner" else "/v1" for kind in KINDS}
_TOOL: Object = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def _grant(name: str, **more: JSON) -> Object:
    return {"id": name, "groups": [name], "models": ["*"], **more}


_GRANTS: list[JSON] = [
    _grant("plain"),
    _grant("capped", max_tokens=5, strip=["temperature"]),
    _grant("toolless", strip=["tools"]),
    _grant("taped", capture="full"),
]


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    with house(tmp_path_factory.mktemp("native"), policy={"grants": _GRANTS}) as found:
        yield found


@pytest.fixture(scope="module")
def keys(fronts: dict[str, Front]) -> dict[str, Key]:
    return {group: fronts["ollama"].key(group) for group in ("plain", "capped", "toolless", "taped")}


@pytest.fixture
def key(keys: dict[str, Key]) -> Key:
    return keys["plain"]


@pytest.fixture(params=KINDS)
def front(fronts: dict[str, Front], request: pytest.FixtureRequest) -> Front:
    """Of each kind."""
    return _clean(fronts[request.param])


@pytest.fixture
def llama(fronts: dict[str, Front]) -> Front:
    return _clean(fronts["llama-server"])


@pytest.fixture
def own(fronts: dict[str, Front]) -> Front:
    """An Ollama."""
    return _clean(fronts["ollama"])


def _clean(front: Front) -> Front:
    begin(front.engine, front.kind)
    return front


def body(front: Front, **extra: JSON) -> Object:
    return {"model": front.model, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}], **extra}


def ask(front: Front, key: Key, **extra: JSON) -> Wire:
    wire = front.gateway.open()
    wire.send(compose("POST", MESSAGES, key.bearer, body=body(front, stream=True, **extra)))
    return wire


def streamed(front: Front, key: Key, **extra: JSON) -> list[Event]:
    with ask(front, key, **extra) as wire:
        head = wire.accepted()
        return [each for each in wire.events(head) if each.data is not None]


def access(front: Front, answer: Answer) -> Object:
    return front.gateway.access_line(answer.head.get("x-request-id") or "none")


def names(found: list[Event]) -> list[str]:
    assert all(each.name == each.json()["type"] for each in found)
    return [as_str(each.name).removeprefix("content_block_") for each in found]


def test_a_whole_answer(front: Front, key: Key) -> None:
    front.engine.play(answers({"type": "text", "text": "Hello", "citations": [1]}, {"type": "news"}))
    answer = front.gateway.post(MESSAGES, body(front, system="be kind", top_p=0.5, temperature=0.1), key.bearer)
    assert answer.status == 200, answer.raw
    found = answer.json()
    assert (found["model"], found["content"]) == (front.model, [{"type": "text", "text": "Hello"}])
    assert as_object(found["usage"])["cache_read_input_tokens"] == 2
    assert ECHOED.encode() not in answer.raw
    seen = front.engine.request()
    assert seen.path == PATHS[front.kind]
    assert seen.document == {
        "model": front.model,
        "max_tokens": 64,
        "stream": False,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "system": "be kind",
        "top_p": 0.5,
        "temperature": 0.1,
    }
    assert key.secret.encode() not in seen.raw
    told = access(front, answer)
    wanted = {"way": "native", "tokens_in": 7, "tokens_out": 3, "tokens_cached": 2, "usage_source": "engine"}
    assert {name: told[name] for name in wanted} == wanted
    assert told["finish"] == "stop"


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_stream_with_a_call_of_a_tool(front: Front, key: Key, size: int) -> None:
    front.engine.play(streams(CALLING, size=size))
    found = streamed(front, key, tools=[_TOOL])
    three = ["start", "delta", "delta", "stop", "start", "delta", "stop", "start", "delta", "delta", "stop"]
    assert names(found) == ["message_start", *three, "message_delta", "message_stop"]
    blocks = [as_object(each.json()["content_block"]) for each in found if each.name == "content_block_start"]
    assert blocks[2] == {"type": "tool_use", "id": CALL_ID, "name": "weather", "input": {}}
    assert as_object(found[-2].json()["delta"])["stop_reason"] == "tool_use"
    asked = front.engine.request().document
    assert asked["tools"] == [{"name": "weather", "input_schema": _TOOL["input_schema"]}]


def test_anthropics_own_client_reads_every_event(front: Front, key: Key) -> None:
    host, port = front.gateway.address
    front.engine.play(streams(CALLING), answers({"type": "text", "text": "Hello"}))
    tool: anthropic.types.ToolParam = {"name": "weather", "input_schema": {"type": "object"}}
    with anthropic.Anthropic(base_url=f"http://{host}:{port}", api_key=key.secret, max_retries=0) as client:
        with client.messages.stream(
            model=front.model, max_tokens=64, messages=[{"role": "user", "content": "hi"}], tools=[tool]
        ) as stream:
            for _ in stream:
                pass
            message = stream.get_final_message()
        kinds = [each.type for each in message.content]
        assert (kinds, message.stop_reason) == (["thinking", "text", "tool_use"], "tool_use")
        call = message.content[2]
        assert isinstance(call, anthropic.types.ToolUseBlock)
        assert (call.id, call.input) == (CALL_ID, {"city": "Bonn"})
        assert message.usage.output_tokens == 3
        told = client.messages.create(model=front.model, max_tokens=64, messages=[{"role": "user", "content": "and?"}])
        assert (told.content[0].type, told.stop_reason) == ("text", "end_turn")


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([Fin()], id="end"),
        pytest.param([Reset()], id="reset"),
        pytest.param([Send(chunk(b""))], id="a proper end without the last event"),
        pytest.param(
            [Send(chunk(event({"type": "error", "error": {"type": "api_error", "message": SECRET_DETAIL}})))],
            id="an error of Anthropic's form",
        ),
        pytest.param(
            [Send(chunk(b'event: error\ndata: {"code":500,"message":"' + SECRET_DETAIL.encode() + b'"}\n\n')), Fin()],
            id="an error of llama-server's form",
        ),
        pytest.param([Send(chunk(b"data: {nonsense\n\n"))], id="no JSON"),
        pytest.param([Send(chunk(event(delta(1, "input_json_delta", "{}"))))], id="a piece of no call"),
    ],
)
def test_a_stream_that_breaks_raises_in_the_client(llama: Front, key: Key, after: list[Step]) -> None:
    llama.engine.play(streams(TALK[:3], *after))
    found = streamed(llama, key)
    assert names(found)[:3] == ["message_start", "start", "delta"]
    assert as_object(found[-1].json()["error"])["type"] == "api_error"
    assert all(SECRET_DETAIL not in (each.data or "") and each.name != "message_stop" for each in found)


def test_an_error_status_is_ours(front: Front, key: Key) -> None:
    refused: Object = {"type": "error", "error": {"type": "overloaded_error", "message": SECRET_DETAIL}}
    front.engine.play(always(Send(whole(refused, 503))))
    answer = front.gateway.post(MESSAGES, body(front), key.bearer)
    assert answer.status == 503
    assert SECRET_DETAIL.encode() not in answer.raw
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("stream", [True, False])
def test_an_old_engine_without_the_route_is_translated_for(
    tmp_path_factory: pytest.TempPathFactory, status: int, *, stream: bool
) -> None:
    with house(tmp_path_factory.mktemp("old"), "auto") as found:
        front = found["llama-server"]
        key = front.gateway.create_key("old")
        front.engine.play(always(Send(whole("404 page not found", status))))
        if stream:
            assert names(streamed(front, key))[-1] == "message_stop"
        else:
            assert front.gateway.post(MESSAGES, body(front), key.bearer).status == 200
        paths = [seen.path for seen in front.engine.requests]
        assert paths == [PATHS[front.kind], "/v1/chat/completions"]
        answer = front.gateway.post(MESSAGES, body(front), key.bearer)
        assert access(front, answer)["way"] == "translated"
        assert front.engine.requests[-1].path == "/v1/chat/completions"
        shown = front.gateway.get(f"/v1/models/{front.model}", key.bearer).json()
        assert as_object(shown["dialects"])["anthropic"] == "translated"


def test_an_old_lm_studio_says_it_with_status_200(tmp_path_factory: pytest.TempPathFactory) -> None:
    old: Object = {"error": "Unexpected endpoint or method. (POST /v1/messages)"}
    with house(tmp_path_factory.mktemp("old")) as found:
        front = found["lm-studio"]
        key = front.gateway.create_key("old")
        front.engine.play(always(Send(whole(old))))
        assert names(streamed(front, key))[-1] == "message_stop"
        assert [seen.path for seen in front.engine.requests] == ["/v1/messages", "/v1/chat/completions"]


def test_obligations_hold_on_the_native_way(front: Front, keys: dict[str, Key]) -> None:
    front.engine.play(answers({"type": "text", "text": "a"}), answers({"type": "text", "text": "a"}))
    front.gateway.post(MESSAGES, body(front, temperature=0.3), keys["capped"].bearer)
    asked = front.engine.request().document
    assert asked["max_tokens"] == 5
    assert "temperature" not in asked
    front.gateway.post(MESSAGES, body(front, tools=[_TOOL], tool_choice={"type": "any"}), keys["toolless"].bearer)
    assert not front.engine.request(1).document.keys() & {"tools", "tool_choice"}


def test_what_is_captured_is_translated(llama: Front, keys: dict[str, Key]) -> None:
    answer = llama.gateway.post(MESSAGES, body(llama), keys["taped"].bearer)
    assert answer.status == 200
    assert llama.engine.request().path == "/v1/chat/completions"
    assert access(llama, answer)["way"] == "translated"


def test_what_the_route_has_no_word_for_is_translated(llama: Front, key: Key) -> None:
    """llama-server would offer all tools, and let the model choose."""
    one: Object = {"type": "tool", "name": "weather"}
    answer = llama.gateway.post(MESSAGES, body(llama, tools=[_TOOL], tool_choice=one), key.bearer)
    assert answer.status == 200
    seen = llama.engine.request()
    assert seen.path == "/v1/chat/completions"
    assert seen.document["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_what_is_lost_with_a_preset_is_named(own: Front, key: Key) -> None:
    """Ollama's route of Anthropic's has no word for what presets set, and its OpenAI routes none for `top_k`."""
    own.engine.play(answers({"type": "text", "text": "Hello"}))
    for model in (own.model, f"{own.model}@chat"):
        answer = own.gateway.post(MESSAGES, body(own, top_k=7) | {"model": model}, key.bearer)
        assert answer.status == 200
        sent = own.engine.requests[-1].document
        named = (answer.head.get("x-llm-gateway-ignored") or "").split(", ")
        assert (sent.get("top_k") == 7) != ("top_k" in named)
        assert ("@" in model) == ("min_p" in named)


def test_the_engine_learns_of_a_caller_that_leaves(front: Front, key: Key) -> None:
    front.engine.play(streams(TALK[:3], Hold()))
    with ask(front, key) as wire:
        next(wire.events(wire.head()))
        assert_leaving_is_noticed(front.engine, wire)


def test_a_caller_that_waits_hears_of_it(llama: Front, key: Key) -> None:
    llama.engine.play(streams((), Hold()))
    with ask(llama, key) as wire:
        head = wire.head()
        assert next(wire.events(head)).data is None
        llama.engine.release()


def test_a_budget_ends_the_message_well_formed(tmp_path_factory: pytest.TempPathFactory) -> None:
    rule: Object = {"name": "budget", "per": "owner", "output": {"day": 20}}
    with house(tmp_path_factory.mktemp("budget"), "auto", limits={"rules": [rule]}) as found:
        front = found["llama-server"]
        key = front.gateway.create_key("caller")
        many = [start(), *(delta(0, "text_delta", "tok ") for _ in range(50))]
        front.engine.play(streams(many, Hold()))
        events = streamed(front, key)
        assert names(events)[-3:] == ["stop", "message_delta", "message_stop"]
        end = events[-2].json()
        assert as_object(end["delta"])["stop_reason"] == "max_tokens"
        assert as_object(end["usage"])["output_tokens"] == 20
        seen = front.engine.request()
        assert seen.path == PATHS[front.kind]
        assert seen.document["max_tokens"] == 20
        front.engine.gone(seen)


def test_a_whole_answer_under_a_budget_is_streamed_and_so_translated(tmp_path_factory: pytest.TempPathFactory) -> None:
    rule: Object = {"name": "budget", "per": "owner", "output": {"day": 20}}
    with house(tmp_path_factory.mktemp("budget"), "auto", limits={"rules": [rule]}) as found:
        front = found["llama-server"]
        key = front.gateway.create_key("caller")
        front.engine.play(Stream().script())
        assert front.gateway.post(MESSAGES, body(front), key.bearer).status == 200
        assert front.engine.request().document["stream"] is True
        assert front.engine.request().path == "/v1/chat/completions"


def test_each_caller_keeps_a_cache_of_its_own_unless_the_operator_gives_it_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with house(tmp_path_factory.mktemp("auto"), "auto") as found:
        key = found["vllm"].gateway.create_key("caller")
        for kind in ("vllm", "docker-model-runner"):
            front = found[kind]
            assert front.gateway.post(MESSAGES, body(front), key.bearer).status == 200
            seen = front.engine.request()
            assert seen.path == f"{_TRANSLATED[kind]}/chat/completions"
            assert seen.document["cache_salt"]


def test_an_operator_may_have_everything_translated(tmp_path_factory: pytest.TempPathFactory) -> None:
    with house(tmp_path_factory.mktemp("translate"), "translate") as found:
        key = found["vllm"].gateway.create_key("caller")
        for kind, front in found.items():
            assert front.gateway.post(MESSAGES, body(front), key.bearer).status == 200
            assert front.engine.request().path == f"{_TRANSLATED[kind]}/chat/completions"
            assert "native" not in {**_dialects(front, key), "openai": ""}.values()


def _dialects(front: Front, key: Key) -> Object:
    return as_object(front.gateway.get(f"/v1/models/{front.model}", key.bearer).json()["dialects"])


def test_a_models_page_says_which_way(front: Front, key: Key) -> None:
    wanted = {"openai": "native", "responses": "translated", "anthropic": "native", "ollama": "translated"}
    if front.kind == "ollama":
        wanted["ollama"] = "native"
    assert _dialects(front, key) == wanted


def test_the_command_line_says_which_way(own: Front, key: Key) -> None:
    at = watching.arguments(own.gateway)
    shown = own.gateway.run("models", "show", own.model, "--json", *at)
    assert shown.code == 0, shown.err
    assert '"ollama": "native"' in shown.out
    text = own.gateway.run("models", "show", own.model, *at).out.split()
    assert text[text.index("responses") + 1] == "translated"
    listed = own.gateway.run("models", "list", *at).out
    assert all(f"tiny-{kind}" in listed for kind in KINDS)
    assert own.gateway.run("models", "show", "nothing", *at).code == 1
    assert key.secret not in listed


@pytest.mark.parametrize("kind", ["docker-model-runner"])
def test_tokens_are_counted_by_the_engine_behind_docker_model_runner(
    fronts: dict[str, Front], key: Key, kind: str
) -> None:
    front = _clean(fronts[kind])
    front.engine.play(always(Send(whole({"input_tokens": 42}))))
    asked: Object = {"model": front.model, "messages": [{"role": "user", "content": "hi"}], "tools": [_TOOL]}
    assert front.gateway.post("/v1/messages/count_tokens", asked, key.bearer).json() == {"input_tokens": 42}
    seen = front.engine.request()
    assert seen.path == "/anthropic/v1/messages/count_tokens"
    assert seen.document.keys() == {"model", "messages", "tools"}


def test_presets_hold_on_the_native_way(own: Front, llama: Front, keys: dict[str, Key]) -> None:
    """A preset whose numbers a route has no word for has the call translated: they are never left out."""
    for front in (own, llama):
        front.engine.when("marked", answers({"type": "text", "text": "Hello"}))
        named: Object = {"model": f"{front.model}@code", "messages": [{"role": "user", "content": "marked"}]}
        front.gateway.post(MESSAGES, {**body(front), **named}, keys["plain"].bearer)
        assert front.engine.requests[-1].document["temperature"] == 0.2
        assert all(seen.document["model"] == front.model for seen in front.engine.requests)
