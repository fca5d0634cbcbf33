"""An Ollama that is asked in its own dialect: what it sees, and what Ollama's callers get, good and bad."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import pytest

from policies.json import JSON, Object, as_list
from tests.system.misbehaviour import SECRET_DETAIL
from tests.system.native_engines import COUNTS, Front, begin, house, last, line, says, written
from tests.system.process import Key
from tests.system.scripts import Fin, Reset, Send, Step, Stream, always, chunk, completion, whole


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with house(tmp_path_factory.mktemp("native"), "auto") as found:
        yield found["ollama"]


@pytest.fixture(scope="module")
def key(shared: Front) -> Key:
    return shared.gateway.create_key("caller")


@pytest.fixture
def own(shared: Front) -> Front:
    begin(shared.engine, shared.kind)
    return shared


@pytest.fixture
def client(own: Front, key: Key) -> Iterator[ollama.Client]:
    host, port = own.gateway.address
    made = ollama.Client(f"http://{host}:{port}", headers={"Authorization": f"Bearer {key.secret}"}, timeout=20.0)
    yield made
    made.close()  # type: ignore[no-untyped-call]


HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_ollamas_chat_streamed(own: Front, client: ollama.Client, size: int) -> None:
    call: Object = {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
    said = [line("", thinking="hm"), line("Hel"), line("lo", tool_calls=[call]), last(line())]
    own.engine.play(says(said, size=size))
    parts = list(client.chat(own.model, HI, stream=True, options={"top_k": 4, "num_ctx": 9, "num_predict": 8}))
    assert "".join(part.message.content or "" for part in parts) == "Hello"
    assert parts[0].message.thinking == "hm"
    (made,) = parts[2].message.tool_calls or ()
    assert (made.function.name, made.function.arguments) == ("f", {"a": 1})
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", COUNTS["eval_count"])
    assert parts[-1].load_duration == COUNTS["load_duration"]
    assert {part.model for part in parts} == {own.model}
    seen = own.engine.request()
    assert seen.path == "/api/chat"
    assert seen.document == {
        "model": own.model,
        "stream": True,
        "options": {"num_predict": 8, "top_k": 4},
        "messages": HI,
    }
    assert ("host", "localhost") in seen.headers


def test_ollamas_answers_whole(own: Front, client: ollama.Client) -> None:
    own.engine.play(
        always(Send(whole(last(line("Hello"))))), always(Send(whole({**last(written("Hi")), "context": [1]})))
    )
    assert client.chat(own.model, HI).message.content == "Hello"
    found = client.generate(own.model, "hi", system="be kind", format="json")
    assert (found.response, found.context, found.eval_count) == ("Hi", None, 3)
    seen = own.engine.request(1)
    assert seen.path == "/api/generate"
    assert seen.document == {
        "model": own.model,
        "stream": False,
        "options": {},
        "prompt": "hi",
        "system": "be kind",
        "format": "json",
    }


def test_ollamas_raw_prompts_are_raw(own: Front, client: ollama.Client) -> None:
    own.engine.play(says([written("Hello"), last(written(), "length")]))
    parts = list(client.generate(own.model, "<s>hi", raw=True, stream=True))
    assert (parts[0].response, parts[-1].done_reason) == ("Hello", "length")
    assert own.engine.request().document["raw"] is True


@pytest.mark.parametrize(
    "after",
    [
        [Fin()],
        [Reset()],
        [Send(chunk(b""))],
        [Send(chunk(b'{"error":"' + SECRET_DETAIL.encode() + b'"}\n')), Send(chunk(b""))],
        [Send(chunk(b"{nonsense\n"))],
    ],
    ids=["end", "reset", "no last line", "error", "no JSON"],
)
def test_a_broken_stream_of_lines_raises(own: Front, client: ollama.Client, after: list[Step]) -> None:
    own.engine.play(says([line("Hel")], *after))
    with pytest.raises(ollama.ResponseError) as raised:
        for _ in client.chat(own.model, HI, stream=True):
            pass
    assert SECRET_DETAIL not in str(raised.value)


@pytest.mark.parametrize("document", [line("no end"), {"error": SECRET_DETAIL}, [], "text"])
def test_a_broken_answer_raises(own: Front, client: ollama.Client, document: JSON) -> None:
    script = always(Send(whole(document if isinstance(document, list | str | dict) else {})))
    own.engine.when("marked", script)
    with pytest.raises(ollama.ResponseError) as raised:
        client.generate(own.model, "marked")
    assert raised.value.status_code == 502
    assert SECRET_DETAIL not in str(raised.value)


def test_a_load_goes_on_being_a_load(own: Front, client: ollama.Client) -> None:
    own.engine.play(Stream().script())
    assert client.generate(own.model, "").done_reason == "load"
    assert own.engine.request().path == "/v1/chat/completions"


def test_logprobs_are_translated(own: Front, client: ollama.Client) -> None:
    own.engine.play(Stream().script())
    assert client.chat(own.model, HI, logprobs=True).message.content == "Hello there"
    assert own.engine.request().path == "/v1/chat/completions"


def test_what_a_translated_call_loses_is_named(own: Front, key: Key) -> None:
    own.engine.play(Stream().script())
    asked: Object = {"model": own.model, "stream": False, "messages": [{"role": "user", "content": "hi"}]}
    answer = own.gateway.post("/api/chat", asked | {"logprobs": True, "options": {"top_k": 4, "seed": 1}}, key.bearer)
    assert answer.status == 200
    assert not own.engine.request().document.keys() & {"top_k", "options"}
    assert answer.head.get("x-llm-gateway-ignored") == "top_k"


def test_openai_callers_are_none_of_this(own: Front, key: Key) -> None:
    own.engine.play(always(Send(whole(completion()))))
    chat: Object = {"model": own.model, "messages": [{"role": "user", "content": "hi"}]}
    answer = own.gateway.post("/v1/chat/completions", chat, key.bearer)
    assert answer.status == 200
    assert as_list(answer.json()["choices"])
    assert own.gateway.access_line(answer.head.get("x-request-id") or "none")["way"] == "native"


def test_what_only_ollamas_own_route_has_is_not_called_ignored(own: Front, key: Key) -> None:
    own.engine.play(always(Send(whole(last(line("Hello"))))))
    asked: Object = {
        "model": own.model,
        "stream": False,
        "messages": [{"role": "user", "content": "hi"}],
        "options": {"top_k": 4, "num_ctx": 9},
    }
    answer = own.gateway.post("/api/chat", asked, key.bearer)
    assert answer.head.get("x-llm-gateway-ignored") == "options.num_ctx"
