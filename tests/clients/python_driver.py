"""The official openai package for Python, sync and async; both report what js/openai.mjs reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import openai
from openai.types import CompletionUsage
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionNamedToolChoiceParam,
)
from openai.types.responses import Response

from policies.json import JSON, Object
from tests.clients.report import MAX_TOKENS, QUESTION, WEATHER, Place

_FORCED: ChatCompletionNamedToolChoiceParam = {"type": "function", "function": {"name": "get_weather"}}
_WEATHER_TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

_CALL: ChatCompletionMessageFunctionToolCallParam = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}


def drive(place: Place) -> Object:
    """The synchronous client."""
    with _connect(place, place.key) as client:
        sync = _Sync(client, place)
        report: Object = {
            "models": [model.id for model in client.models.list()],
            "model": client.models.retrieve(place.model).id,
            "whole": _part(sync.whole),
            "streamed": _part(lambda: sync.streamed(usage=False)),
            "streamed_usage": _part(lambda: sync.streamed(usage=True)),
            "text": _part(sync.text),
            "tools": _part(sync.tools),
            "forced": _part(lambda: sync.tools(forced=True)),
            "forced_streamed": _part(sync.tools_streamed),
            "after_tool": _part(sync.after_tool),
            "responses": _part(sync.responses),
            "abandoned": _part(sync.abandoned),
            "embeddings": _part(sync.embeddings) if place.embeddings else None,
            "errors": _errors(client, place),
        }
    return report


def drive_async(place: Place) -> Object:
    """The asynchronous client; what it shares with the other (error classes) is reported through that one."""
    return asyncio.run(_drive_async(place))


def _connect(place: Place, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=place.base_url, api_key=key, max_retries=0, timeout=60.0)


class _Sync:
    def __init__(self, client: openai.OpenAI, place: Place) -> None:
        self._client = client
        self._model = place.model

    def whole(self) -> Object:
        raw = self._client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=MAX_TOKENS,
            temperature=0,
        )
        return {**_told(raw.parse()), "request_id": raw.headers.get("x-request-id")}

    def _stream(self, *, usage: bool) -> openai.Stream[ChatCompletionChunk]:
        return self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=MAX_TOKENS,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True} if usage else openai.omit,
        )

    def streamed(self, *, usage: bool) -> Object:
        with self._stream(usage=usage) as stream:
            return _gathered(list(stream))

    def text(self) -> Object:
        answer = self._client.completions.create(model=self._model, prompt=QUESTION, max_tokens=8, temperature=0)
        choice = answer.choices[0]
        return {"finish": choice.finish_reason, "length": len(choice.text), "usage": _counts(answer.usage)}

    def tools(self, *, forced: bool = False) -> Object:
        answer = self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": WEATHER}],
            max_tokens=MAX_TOKENS,
            temperature=0,
            tools=[_WEATHER_TOOL],
            tool_choice=_FORCED if forced else openai.omit,
        )
        return _called(answer)

    def tools_streamed(self) -> Object:
        with self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": WEATHER}],
            max_tokens=MAX_TOKENS,
            temperature=0,
            tools=[_WEATHER_TOOL],
            tool_choice=_FORCED,
            stream=True,
        ) as stream:
            return _called_in(list(stream))

    def after_tool(self) -> Object:
        answer = self._client.chat.completions.create(
            model=self._model,
            messages=[
                {"role": "user", "content": WEATHER},
                {"role": "assistant", "content": None, "tool_calls": [_CALL]},
                {"role": "tool", "tool_call_id": _CALL["id"], "content": "18 C and sunny"},
            ],
            max_tokens=MAX_TOKENS,
            temperature=0,
            tools=[_WEATHER_TOOL],
        )
        return _told(answer)

    def responses(self) -> Object:
        """OpenAI's other interface: whole, streamed, gone on with, looked up, listed and deleted."""
        api = self._client.responses
        whole = self._respond()
        with api.stream(model=self._model, max_output_tokens=MAX_TOKENS, temperature=0, input=QUESTION) as stream:
            streamed = stream.get_final_response()
        more = self._respond(whole.id)
        kept = api.retrieve(whole.id)
        items: list[JSON] = [item.type for item in api.input_items.list(more.id)]
        api.delete(whole.id)
        return {
            "text": whole.output_text,
            "status": whole.status,
            "streamed": streamed.output_text,
            "kept": kept.output_text,
            "read": _read(more) - _read(whole),
            "items": items,
        }

    def _respond(self, previous: str | None = None) -> Response:
        return self._client.responses.create(
            model=self._model,
            max_output_tokens=MAX_TOKENS,
            temperature=0,
            input=QUESTION,
            previous_response_id=previous,
        )

    def abandoned(self) -> JSON:
        with self._stream(usage=False) as stream:
            next(iter(stream))
        return self.whole()["finish"]

    def embeddings(self) -> Object:
        answer = self._client.embeddings.create(model=self._model, input=["one", "two"])
        vector = answer.data[0].embedding
        return {"count": len(answer.data), "length": len(vector), "number": isinstance(vector[0], float)}


def _read(response: Response) -> int:
    assert response.usage is not None
    return response.usage.input_tokens


async def _drive_async(place: Place) -> Object:
    async with openai.AsyncOpenAI(base_url=place.base_url, api_key=place.key, max_retries=0, timeout=60.0) as client:
        with _connect(place, place.key) as plain:
            sync = _Sync(plain, place)
            report: Object = {
                "models": [model.id async for model in client.models.list()],
                "model": (await client.models.retrieve(place.model)).id,
                "whole": await _whole_async(client, place),
                "streamed": _gathered([chunk async for chunk in _chunks(client, place, usage=False)]),
                "streamed_usage": _gathered([chunk async for chunk in _chunks(client, place, usage=True)]),
                "text": _part(sync.text),
                "tools": _part(sync.tools),
                "forced": _part(lambda: sync.tools(forced=True)),
                "forced_streamed": _part(sync.tools_streamed),
                "after_tool": _part(sync.after_tool),
                "responses": _part(sync.responses),
                "abandoned": await _abandoned_async(client, place),
                "embeddings": _part(sync.embeddings) if place.embeddings else None,
                "errors": _errors(plain, place),
            }
    return report


async def _whole_async(client: openai.AsyncOpenAI, place: Place) -> Object:
    raw = await client.chat.completions.with_raw_response.create(
        model=place.model,
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=MAX_TOKENS,
        temperature=0,
    )
    return {**_told(raw.parse()), "request_id": raw.headers.get("x-request-id")}


async def _chunks(client: openai.AsyncOpenAI, place: Place, *, usage: bool) -> AsyncIterator[ChatCompletionChunk]:
    stream = await client.chat.completions.create(
        model=place.model,
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=MAX_TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True} if usage else openai.omit,
    )
    async with stream:
        async for chunk in stream:
            yield chunk


async def _abandoned_async(client: openai.AsyncOpenAI, place: Place) -> JSON:
    chunks = _chunks(client, place, usage=False)
    async for _ in chunks:
        break
    await chunks.aclose()  # type: ignore[attr-defined]  # an async generator, annotated by its protocol
    return (await _whole_async(client, place))["finish"]


def _part(attempt: Callable[[], JSON]) -> JSON:
    """What `attempt` reports; one part that fails must not hide what the others found."""
    try:
        return attempt()
    except openai.OpenAIError as error:
        return {"failed": str(error)}


def _told(answer: ChatCompletion) -> Object:
    choice = answer.choices[0]
    usage = _counts(answer.usage)
    return {"text": choice.message.content, "finish": choice.finish_reason, "model": answer.model, "usage": usage}


def _called(answer: ChatCompletion) -> Object:
    choice = answer.choices[0]
    calls: list[JSON] = [
        {"name": call.function.name, "arguments": call.function.arguments}
        for call in choice.message.tool_calls or []
        if call.type == "function"
    ]
    return {"finish": choice.finish_reason, "calls": calls}


def _called_in(chunks: list[ChatCompletionChunk]) -> Object:
    choices = [choice for chunk in chunks for choice in chunk.choices]
    pieces = [call.function for choice in choices for call in choice.delta.tool_calls or [] if call.function]
    names = [piece.name for piece in pieces if piece.name]
    call: Object = {"name": names[0] if names else "", "arguments": "".join(piece.arguments or "" for piece in pieces)}
    return {"finish": next((c.finish_reason for c in choices if c.finish_reason), None), "calls": [call]}


def _gathered(chunks: list[ChatCompletionChunk]) -> Object:
    choices = [choice for chunk in chunks for choice in chunk.choices]
    finishes = [choice.finish_reason for choice in choices if choice.finish_reason]
    usages = [_counts(chunk.usage) for chunk in chunks if chunk.usage]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": finishes[-1] if finishes else None,
        "usage": usages[-1] if usages else None,
        "chunks": len(chunks),
        "models": list[JSON](sorted({chunk.model for chunk in chunks})),
    }


def _counts(usage: CompletionUsage | None) -> JSON:
    if usage is None:
        return None
    return {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens, "total": usage.total_tokens}


def _errors(client: openai.OpenAI, place: Place) -> Object:
    def ask(who: openai.OpenAI, limit: int) -> Callable[[], object]:
        return lambda: who.chat.completions.create(
            model=place.model, messages=[{"role": "user", "content": QUESTION}], max_tokens=limit
        )

    with _connect(place, place.narrow_key) as narrow, _connect(place, "lgw_not-a-key") as stranger:
        found: Object = {
            "bad_request": _failure(ask(client, -1)),
            "not_found": _failure(lambda: client.get("/nowhere", cast_to=object)),
            "hidden_model": _failure(ask(narrow, 5)),
            "bad_key": _failure(stranger.models.list),
        }
        last: JSON = None
        for _ in range(4):
            last = _failure(stranger.models.list)
        return {**found, "locked": last}


def _failure(attempt: Callable[[], object]) -> JSON:
    try:
        attempt()
    except openai.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "type": error.type,
            "should_retry": error.response.headers.get("x-should-retry"),
            "retry_after": error.response.headers.get("retry-after"),
            "request_id": error.request_id,
        }
    return None
