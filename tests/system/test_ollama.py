"""Ollama's own routes over sockets: what the engine is asked, and what the caller gets, good and bad."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, assert_constant, assert_leaving_is_noticed, start_stream
from tests.system.conftest import Launch
from tests.system.misbehaviour import BROKEN_ANSWERS, BROKEN_STREAMS, ERROR_SHAPES, SECRET_DETAIL, VARIANTS
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL, Hold, Send, Stream, always, delta, talker, whole
from tests.system.wire import Head, Wire, compose, loads

ASK = "/api/chat"
GENERATE = "/api/generate"
TEXT = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
BOTH = pytest.mark.parametrize("path", [ASK, GENERATE])
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def body(path: str = ASK, /, **extra: JSON) -> Object:
    said: Object = {"prompt": "hi"} if path == GENERATE else {"messages": [{"role": "user", "content": "hi"}]}
    return {"model": ASKED, **said, **extra}


def ask(gateway: Gateway, key: Key, path: str = ASK, /, **extra: JSON) -> Wire:
    wire = gateway.open()
    wire.send(compose("POST", path, key.bearer, body=body(path, **extra)))
    return wire


def lines(wire: Wire, head: Head, within: float = 20.0) -> Iterator[Object]:
    """The documents of a stream as they come; each line is one, and the stream ends behind a line."""
    assert head.get("content-type") == "application/x-ndjson"
    rest = b""
    for block in wire.blocks(head, within):
        *full, rest = (rest + block).split(b"\n")
        yield from map(loads, full)
    assert rest == b""


def streamed(gateway: Gateway, key: Key, path: str = ASK, /, **extra: JSON) -> list[Object]:
    with ask(gateway, key, path, **extra) as wire:
        head = wire.accepted()
        return list(lines(wire, head))


def said(found: list[Object]) -> str:
    return "".join(
        as_str(line["response"]) if "response" in line else as_str(as_object(line["message"])["content"])
        for line in found
    )


def check_numbers(last: Object) -> None:
    """The numbers of a last line hold together."""
    assert (last["done"], last["done_reason"], last["model"]) == (True, "stop", ASKED)
    assert (last["prompt_eval_count"], last["eval_count"]) == (7, 3)
    took: list[int] = [value for name in DURATIONS if isinstance(value := last[name], int)]
    assert len(took) == len(DURATIONS)
    assert min(took) >= 0
    assert abs(took[0] - sum(took[1:])) <= 1000, "the parts add up to the whole, but for rounding"


@BOTH
def test_a_whole_answer(gateway: Gateway, engine: RecordingEngine, key: Key, path: str) -> None:
    answer = gateway.post(path, body(path, stream=False, options={"top_p": 0.5, "num_predict": 64}), key.bearer)
    assert answer.status == 200
    assert answer.head.get("content-type") == "application/json"
    assert said([answer.json()]) == "Hello there"
    check_numbers(answer.json())
    asked = engine.request().document
    assert engine.request().path == CHAT
    assert (asked["max_tokens"], asked["top_p"], asked["stream"]) == (64, 0.5, True)
    assert asked["messages"] == [{"role": "user", "content": "hi"}]


@BOTH
def test_a_stream_is_the_default(gateway: Gateway, engine: RecordingEngine, key: Key, path: str) -> None:
    found = streamed(gateway, key, path)
    assert [line["done"] for line in found] == [False, False, True]
    assert said(found) == "Hello there"
    check_numbers(found[-1])


@pytest.mark.parametrize("name", VARIANTS)
def test_however_engines_write_their_streams(gateway: Gateway, engine: RecordingEngine, key: Key, name: str) -> None:
    engine.play(VARIANTS[name].script())
    found = streamed(gateway, key)
    assert said(found) == "Hello there"
    assert found[-1]["done"] is True


def test_letters_and_calls_that_are_split_at_every_byte_arrive_whole(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    call: Object = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}
    pieces: list[JSON] = ['{"s":"', "\U0001f680é", '"}']
    chunks = [
        delta(role="assistant", content=""),
        delta(),
        delta(content=""),
        delta(content="né\U0001f680"),
        delta(tool_calls=[call]),
        *(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces),
        delta(finish="tool_calls"),
    ]
    raw = [json.dumps(each, ensure_ascii=False).encode() for each in chunks]
    text = b"".join(b"data: " + each + b"\n\n" for each in raw) + b"data: [DONE]\n\n"
    engine.play(Stream(chunks=(), usage=False, done=False, raw=text, split=1).script())
    found = streamed(gateway, key)
    assert said(found) == "né\U0001f680"
    told = [as_object(line["message"])["tool_calls"] for line in found if "tool_calls" in as_object(line["message"])]
    assert told == [[{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"s": "\U0001f680é"}}}]]
    assert len(found) == 3, "what says nothing has no line"


def test_a_turn_with_a_tool(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    tool: Object = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    made: Object = {"function": {"name": "weather", "arguments": {"city": "Bonn"}}}
    turns: list[JSON] = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "content": "rain", "tool_name": "weather"},
    ]
    assert said(streamed(gateway, key, messages=turns, tools=[tool], think=False)) == "Hello there"
    asked = engine.request().document
    assert asked["tools"] == [tool]
    call = as_object(as_list(as_object(as_list(asked["messages"])[1])["tool_calls"])[0])
    assert as_object(call["function"])["arguments"] == '{"city":"Bonn"}'
    assert as_object(as_list(asked["messages"])[2])["tool_call_id"] == call["id"]


def test_a_raw_prompt_is_completed(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    found = streamed(gateway, key, GENERATE, raw=True)
    assert said(found) == "Hello there"
    assert engine.request().path == TEXT
    assert engine.request().document["prompt"] == "hi"


def test_vectors(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    many = gateway.post("/api/embed", {"model": ASKED, "input": ["a", "b"], "truncate": True}, key.bearer)
    assert many.json()["embeddings"] == [[0.25, -0.5, 0.0], [0.25, -0.5, 1.0]]
    assert (many.json()["model"], many.json()["prompt_eval_count"]) == (ASKED, 4)
    assert many.head.get("x-llm-gateway-ignored") == "truncate"
    assert engine.request().path == EMBEDDINGS
    one = gateway.post("/api/embeddings", {"model": ASKED, "prompt": "a"}, key.bearer)
    assert one.json() == {"embedding": [0.25, -0.5, 0.0]}


@BOTH
def test_a_load_asks_the_engine_for_one_token(gateway: Gateway, engine: RecordingEngine, key: Key, path: str) -> None:
    answer = gateway.post(path, {"model": ASKED, "stream": False, "keep_alive": "10m"}, key.bearer)
    assert (answer.json()["done"], answer.json()["done_reason"], said([answer.json()])) == (True, "load", "")
    assert answer.head.get("x-llm-gateway-ignored") == "keep_alive"
    assert engine.request().document["max_tokens"] == 1
    found = streamed(gateway, key, path, messages=[], prompt="")
    assert [line["done_reason"] for line in found] == ["load"]


@BOTH
def test_an_unload_asks_no_engine(gateway: Gateway, engine: RecordingEngine, key: Key, path: str) -> None:
    answer = gateway.post(path, {"model": ASKED, "keep_alive": 0}, key.bearer)
    assert (answer.status, answer.json()["done_reason"]) == (200, "unload")
    narrow = gateway.create_key("narrow", "--model", "other-*")
    assert gateway.post(path, {"model": ASKED, "keep_alive": 0}, narrow.bearer).status == 403
    assert engine.requests == []


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_a_stream_that_breaks_ends_in_a_line_with_an_error(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str
) -> None:
    engine.play(BROKEN_STREAMS[name])
    with ask(gateway, key) as wire:
        found = lines(wire, wire.head())
        first = next(found)
        engine.release()
        rest = list(found)
    assert as_object(first["message"])["content"] == "Hello"
    assert set(rest[-1]) == {"error"}
    assert all(line["done"] is False for line in rest[:-1])
    assert SECRET_DETAIL not in json.dumps(rest)


@pytest.mark.parametrize("arguments", ["{nonsense", "[]", '"{}"'])
@pytest.mark.parametrize("stream", [True, False])
def test_arguments_that_are_no_object_are_an_error(
    gateway: Gateway, engine: RecordingEngine, key: Key, arguments: str, *, stream: bool
) -> None:
    call: Object = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": arguments}}
    engine.play(Stream(chunks=[delta(tool_calls=[call]), delta(finish="tool_calls")]).script())
    if stream:
        found = streamed(gateway, key)
        assert [set(line) for line in found] == [{"error"}]
    else:
        answer = gateway.post(ASK, body(stream=False), key.bearer)
        assert answer.status == 502
        assert set(answer.json()) == {"error"}


def test_a_long_piece_arrives_and_one_that_is_too_long_is_an_error(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    for size in (4 << 20, 10 << 20):
        engine.play(Stream(chunks=[delta(content="a" * size), delta(finish="stop")]).script())
    found = streamed(gateway, key)
    assert (len(said(found)), found[-1]["done_reason"]) == (4 << 20, "stop")
    answer = gateway.post(ASK, body(), key.bearer)
    assert answer.status == 502
    assert_constant(answer)


@pytest.mark.parametrize("name", [*BROKEN_ANSWERS, *ERROR_SHAPES])
def test_an_answer_that_breaks_is_an_error_in_the_dialect(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str
) -> None:
    script, allowed = ERROR_SHAPES[name] if name in ERROR_SHAPES else (BROKEN_ANSWERS[name], {502})
    engine.when("marked", script)  # and not queued: on a used connection the gateway asks once more
    marked: Object = {"role": "user", "content": "marked"}
    answer = gateway.post(ASK, body(messages=[marked]), key.bearer)
    assert answer.status in allowed
    assert_constant(answer, SECRET_DETAIL)


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings"])
def test_vectors_that_are_none_are_the_engines_failure(
    gateway: Gateway, engine: RecordingEngine, key: Key, path: str
) -> None:
    engine.play(always(Send(whole({"object": "list", "data": [{"index": 0, "embedding": "AACA"}]}))))
    answer = gateway.post(path, {"model": ASKED, "input": "a", "prompt": "a"}, key.bearer)
    assert answer.status == 502
    assert_constant(answer)


def test_the_engine_learns_of_a_caller_that_leaves(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(*Stream().until(2, Hold())))
    with ask(gateway, key) as wire:
        next(lines(wire, wire.head()))
        assert_leaving_is_noticed(engine, wire)


def test_a_budget_ends_the_answer_well_formed(launch: Launch, engine: RecordingEngine) -> None:
    rule: Object = {"name": "budget", "per": "owner", "output": {"day": 20}}
    gateway = launch(limits={"rules": [rule]})
    key = gateway.create_key("caller")
    engine.play(talker(50))
    found = streamed(gateway, key)
    assert (found[-1]["done_reason"], found[-1]["eval_count"]) == ("length", 20)
    assert len(found) == 21


def test_a_waiting_caller_hears_nothing_but_its_answer(launch: Launch, engine: RecordingEngine) -> None:
    """Comments have no place among lines; so nothing is sent, and a wait that was too long has its own status."""
    gateway = launch(queue={"limit": 1, "wait": "300ms", "tell_after": "10ms"}, engine={"concurrency": 1})
    one, other = gateway.create_key("one"), gateway.create_key("other")
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(gateway, one) as wire:
        wire.head()
        answer = gateway.post(ASK, body(), other.bearer)
        assert answer.status == 503
        assert int(answer.head.get("retry-after") or 0) >= 1
        assert "queue_timeout" in as_str(answer.json()["error"])


def test_who_may_not_use_the_model_is_told_so_in_the_dialect(gateway: Gateway, engine: RecordingEngine) -> None:
    key = gateway.create_key("narrow", "--model", "other-*")
    for path in (ASK, GENERATE, "/api/embed", "/api/show"):
        answer = gateway.post(path, {**body(), "prompt": "a", "input": "a"}, key.bearer)
        assert answer.status == 403
        assert "(model_not_permitted)" in as_str(answer.json()["error"])
    assert gateway.get("/api/tags", key.bearer).json() == {"models": []}
    assert gateway.get("/api/ps", key.bearer).json() == {"models": []}
    assert engine.requests == []


@pytest.mark.parametrize(
    ("path", "document", "told"),
    [
        (ASK, {"messages": 1}, "messages: "),
        (ASK, {"messages": [{"role": "user", "images": ["http://169.254.169.254/"]}]}, "messages[].images[]: "),
        (GENERATE, {"prompt": "a", "options": {"temperature": "hot"}}, "options.temperature: "),
        ("/api/embed", {}, "input: "),
        ("/api/show", {"verbose": True, "model": None}, "model: "),
    ],
)
def test_bad_input_is_named(
    gateway: Gateway, engine: RecordingEngine, key: Key, *, path: str, document: Object, told: str
) -> None:
    answer = gateway.post(path, {"model": ASKED, **document}, key.bearer)
    assert answer.status == 400
    assert as_str(answer.json()["error"]).startswith(told)
    assert engine.requests == []


def test_models_are_listed_and_shown(gateway: Gateway, key: Key) -> None:
    listed = [as_object(each) for each in as_list(gateway.get("/api/tags", key.bearer).json()["models"])]
    assert MODEL in [each["name"] for each in listed]
    assert all(each["model"] == each["name"] for each in listed)
    shown = gateway.post("/api/show", {"model": ASKED}, key.bearer)
    assert shown.json()["capabilities"] == ["completion", "tools"]
    assert gateway.post("/api/show", {"name": ASKED}, key.bearer).json() == shown.json()
    assert gateway.post("/api/show", {"model": "nobody"}, key.bearer).status == 403


def test_what_is_loaded(launch: Launch, engine: RecordingEngine) -> None:
    """As far as its answers tell: of an engine that swaps, what answered last."""
    gateway = launch(engine={"loaded_models": 1})
    key = gateway.create_key("caller")
    assert gateway.get("/api/ps", key.bearer).json() == {"models": []}
    assert gateway.post(ASK, body(stream=False), key.bearer).status == 200
    (loaded,) = as_list(gateway.get("/api/ps", key.bearer).json()["models"])
    assert as_object(loaded)["name"] == MODEL


def test_what_it_says_of_itself_wants_a_key(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    assert gateway.get("/", key.bearer).body == b"Ollama is running"
    assert str(gateway.get("/api/version", key.bearer).json()["version"]).count(".") == 2
    with gateway.open() as wire:
        wire.send(compose("HEAD", "/", key.bearer))
        head = wire.answer(bodyless=True).head
        assert (head.status, head.get("content-length")) == (200, str(len(b"Ollama is running")))
        assert wire.ask(compose("GET", "/api/version", key.bearer)).status == 200, "the connection goes on"
    for path in ("/", "/api/version", "/api/tags", "/api/ps"):
        assert gateway.get(path).status == 401
    assert engine.requests == []


def test_a_header_of_anthropics_clients_changes_nothing(gateway: Gateway, key: Key) -> None:
    version = "anthropic-version: 2023-06-01"
    assert gateway.get("/api/tags", key.bearer, version).json() == gateway.get("/api/tags", key.bearer).json()
    shown = gateway.post("/api/show", {"model": ASKED}, key.bearer, version)
    assert shown.json()["details"] == gateway.post("/api/show", {"model": ASKED}, key.bearer).json()["details"]
