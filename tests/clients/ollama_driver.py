"""The official ollama package for Python; reports what js/ollama.mjs reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final, cast

import ollama

from policies.json import JSON, Object
from tests.clients.report import MAX_TOKENS, QUESTION, WEATHER, Place

_OPTIONS: Final = {"temperature": 0, "num_predict": MAX_TOKENS, "num_ctx": 4096}
_HELLO: Final = [{"role": "user", "content": QUESTION}]
_WEATHER: Final = [{"role": "user", "content": WEATHER}]
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_ANSWERED: Final[list[Mapping[str, object]]] = [
    *_WEATHER,
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}],
    },
    {"role": "tool", "tool_name": "get_weather", "content": "18 C and sunny"},
]


def drive(place: Place) -> Object:
    """The synchronous client."""
    with _connect(place, place.key) as client:
        driver = _Driver(client, place.model)
        return {
            "version": version("ollama"),
            "models": [model.model for model in client.list().models],
            "shown": _part(driver.shown),
            "running": [model.model for model in client.ps().models],
            "whole": _part(driver.whole),
            "streamed": _part(driver.streamed),
            "generated": _part(driver.generated),
            "generated_streamed": _part(driver.generated_streamed),
            "called": _part(driver.called),
            "called_streamed": _part(driver.called_streamed),
            "after_tool": _part(driver.after_tool),
            "loaded": _part(driver.loaded),
            "abandoned": _part(driver.abandoned),
            "embedded": _part(driver.embedded) if place.embeddings else None,
            "errors": _part(lambda: _errors(client, place)),
        }


@contextmanager
def _connect(place: Place, key: str) -> Iterator[ollama.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    client = ollama.Client(host=place.base_url.removesuffix("/v1"), headers=headers, timeout=60.0)
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]


class _Driver:
    def __init__(self, client: ollama.Client, model: str) -> None:
        self._client = client
        self._model = model

    def shown(self) -> Object:
        found = self._client.show(self._model)
        return {"capabilities": list[JSON](found.capabilities or [])}

    def whole(self) -> Object:
        return _told(self._client.chat(self._model, _HELLO, options=_OPTIONS))

    def streamed(self) -> Object:
        return _gathered(self._client.chat(self._model, _HELLO, stream=True, options=_OPTIONS))

    def generated(self) -> Object:
        return _written([self._client.generate(self._model, QUESTION, options=_OPTIONS)])

    def generated_streamed(self) -> Object:
        return _written(self._client.generate(self._model, QUESTION, stream=True, options=_OPTIONS))

    def called(self) -> Object:
        return _told(self._client.chat(self._model, _WEATHER, tools=[_TOOL], options=_OPTIONS))

    def called_streamed(self) -> Object:
        return _gathered(self._client.chat(self._model, _WEATHER, tools=[_TOOL], stream=True, options=_OPTIONS))

    def after_tool(self) -> Object:
        return _told(self._client.chat(self._model, _ANSWERED, tools=[_TOOL], options=_OPTIONS))

    def loaded(self) -> Object:
        found = self._client.generate(self._model, keep_alive="5m")
        return {"reason": found.done_reason, "running": [model.model for model in self._client.ps().models]}

    def abandoned(self) -> Object:
        next(iter(self._client.chat(self._model, _HELLO, stream=True, options=_OPTIONS)))
        return self.whole()

    def embedded(self) -> Object:
        found = self._client.embed(self._model, ["a", "b"])
        one = self._client.embeddings(self._model, "a")
        return {"vectors": [len(vector) for vector in found.embeddings], "vector": len(one.embedding)}


def _told(answer: ollama.ChatResponse) -> Object:
    return _gathered([answer])


def _gathered(answers: Iterable[ollama.ChatResponse]) -> Object:
    text, calls, last = "", list[JSON](), ollama.ChatResponse(message=ollama.Message(role="assistant"))
    for last in answers:
        text += last.message.content or ""
        for call in last.message.tool_calls or []:
            calls.append({"name": call.function.name, "input": cast("Object", dict(call.function.arguments))})
    return {"text": text, "calls": calls, **_ending(last)}


def _written(answers: Iterable[ollama.GenerateResponse]) -> Object:
    text, last = "", ollama.GenerateResponse()
    for last in answers:
        text += last.response or ""
    return {"text": text, **_ending(last)}


def _ending(last: ollama.ChatResponse | ollama.GenerateResponse) -> Object:
    return {
        "done": last.done,
        "stop": last.done_reason,
        "model": last.model,
        "input": last.prompt_eval_count,
        "output": last.eval_count,
        "took": [last.total_duration, last.load_duration, last.prompt_eval_duration, last.eval_duration],
    }


def _errors(client: ollama.Client, place: Place) -> Object:
    with _connect(place, place.narrow_key) as narrow, _connect(place, "lgw_nobody_" + "x" * 43) as unknown:
        return {
            "bad_request": _failure(lambda: _short(client, "no model at all")),
            "hidden_model": _failure(lambda: _short(narrow, place.model)),
            "bad_key": _failure(lambda: _short(unknown, place.model)),
        }


def _short(client: ollama.Client, model: str) -> None:
    for _ in client.chat(model, _HELLO, stream=True):
        pass


def _failure(attempt: Callable[[], None]) -> JSON:
    try:
        attempt()
    except ollama.ResponseError as error:
        return {"class": type(error).__name__, "status": error.status_code, "text": error.error}
    return None


def _part(run: Callable[[], Object]) -> Object:
    """What `run` reports; a part that fails must not hide the others."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - the report says what a client raised
        return {"failed": f"{type(error).__name__}: {error}"}
