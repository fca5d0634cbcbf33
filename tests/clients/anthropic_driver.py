"""The official anthropic package for Python; reports what js/anthropic.mjs reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import anthropic
from anthropic.types import Message, MessageParam, ToolParam

from policies.json import JSON, Object
from tests.clients.report import MAX_TOKENS, QUESTION, WEATHER, Place

_TOOL: ToolParam = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
_COLD: Final = {"temperature": 0}
"""Not in the wire of 2026-10-21, and so not in the SDK's signature; a model that guesses would make a flaky test."""
_HELLO: list[MessageParam] = [{"role": "user", "content": QUESTION}]
_WEATHER: list[MessageParam] = [{"role": "user", "content": WEATHER}]
_ANSWERED: list[MessageParam] = [
    *_WEATHER,
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C and sunny"}],
    },
]


def drive(place: Place) -> Object:
    """The synchronous client."""
    with _connect(place, place.key) as client:
        driver = _Driver(client, place.model)
        return {
            "version": anthropic.__version__,
            "models": [model.id for model in client.models.list()],
            "model": client.models.retrieve(place.model).id,
            "whole": _part(driver.whole),
            "streamed": _part(driver.streamed),
            "called": _part(driver.called),
            "called_streamed": _part(driver.called_streamed),
            "after_tool": _part(driver.after_tool),
            "counted": _part(driver.counted),
            "abandoned": _part(driver.abandoned),
            "errors": _part(lambda: _errors(client, place)),
        }


def _connect(place: Place, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=place.base_url.removesuffix("/v1"), api_key=key, max_retries=0, timeout=60.0)


class _Driver:
    def __init__(self, client: anthropic.Anthropic, model: str) -> None:
        self._client = client
        self._model = model

    def _ask(self, messages: list[MessageParam]) -> Message:
        return self._client.messages.create(
            model=self._model, max_tokens=MAX_TOKENS, messages=messages, extra_body=_COLD
        )

    def whole(self) -> Object:
        return _told(self._ask(_HELLO))

    def streamed(self) -> Object:
        kinds: list[JSON] = []
        with self._client.messages.stream(
            model=self._model, max_tokens=MAX_TOKENS, messages=_HELLO, extra_body=_COLD
        ) as stream:
            for event in stream:
                if event.type not in kinds:
                    kinds.append(event.type)
            return {**_told(stream.get_final_message()), "kinds": kinds}

    def called(self) -> Object:
        answer = self._client.messages.create(
            model=self._model,
            max_tokens=MAX_TOKENS,
            messages=_WEATHER,
            tools=[_TOOL],
            tool_choice={"type": "tool", "name": "get_weather"},
            extra_body=_COLD,
        )
        return _told(answer)

    def called_streamed(self) -> Object:
        with self._client.messages.stream(
            model=self._model,
            max_tokens=MAX_TOKENS,
            messages=_WEATHER,
            tools=[_TOOL],
            tool_choice={"type": "tool", "name": "get_weather"},
            extra_body=_COLD,
        ) as stream:
            return _told(stream.get_final_message())

    def after_tool(self) -> Object:
        return _told(
            self._client.messages.create(
                model=self._model,
                max_tokens=MAX_TOKENS,
                messages=_ANSWERED,
                tools=[_TOOL],
                system="Be kind.",
                extra_body=_COLD,
            )
        )

    def counted(self) -> Object:
        found = self._client.messages.count_tokens(model=self._model, messages=_HELLO)
        return {"input_tokens": found.input_tokens}

    def abandoned(self) -> Object:
        with self._client.messages.stream(
            model=self._model, max_tokens=MAX_TOKENS, messages=_HELLO, extra_body=_COLD
        ) as stream:
            next(iter(stream))
        return self.whole()


def _told(message: Message) -> Object:
    calls: list[JSON] = [
        {"name": block.name, "input": cast("Object", block.input)}
        for block in message.content
        if block.type == "tool_use"
    ]
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "calls": calls,
        "stop": message.stop_reason,
        "model": message.model,
        "input": message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0),
        "output": message.usage.output_tokens,
    }


def _errors(client: anthropic.Anthropic, place: Place) -> Object:
    with _connect(place, place.narrow_key) as narrow, _connect(place, "lgw_nobody_" + "x" * 43) as unknown:
        return {
            "bad_request": _failure(lambda: _short(client, "no model at all")),
            "hidden_model": _failure(lambda: _short(narrow, place.model)),
            "bad_key": _failure(lambda: _short(unknown, place.model)),
        }


def _short(client: anthropic.Anthropic, model: str) -> None:
    client.messages.create(model=model, max_tokens=4, messages=_HELLO)


def _failure(attempt: Callable[[], None]) -> JSON:
    try:
        attempt()
    except anthropic.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "type": error.type,
            "request_id": error.request_id,
        }
    return None


def _part(run: Callable[[], Object]) -> Object:
    """What `run` reports; a part that fails must not hide the others."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - the report says what a client raised
        return {"failed": f"{type(error).__name__}: {error}"}
