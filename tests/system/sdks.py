"""The official packages for Python, one per dialect, as a caller uses them: a question, its answer read to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anthropic
import ollama
import openai

from tests.system.calls import ASKED
from tests.system.process import Gateway, Key

PATIENCE: Final = 20.0
"""Seconds until a package gives up waiting: a test in which it does has failed."""


@dataclass(slots=True)
class Heard:
    """What a package made of an answer: its text, and calls by name with their arguments as text."""

    text: str = ""
    calls: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sdk:
    """`ask(gateway, key, question, began)` streams, calling `began` at every event; `whole(gateway, key, question)`
    does not. `broken` is what is raised for an answer that breaks, `status` for one that never was."""

    ask: Callable[[Gateway, Key, str, Callable[[], None]], Heard]
    whole: Callable[[Gateway, Key, str], Heard]
    broken: type[Exception]
    status: type[Exception]


def _base(gateway: Gateway) -> str:
    host, port = gateway.address
    return f"http://{host}:{port}"


def _openai(gateway: Gateway, key: Key) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{_base(gateway)}/v1", api_key=key.secret, max_retries=0, timeout=PATIENCE)


def _chat(gateway: Gateway, key: Key, question: str, began: Callable[[], None]) -> Heard:
    heard = Heard()
    with _openai(gateway, key) as client:
        stream = client.chat.completions.create(
            model=ASKED, messages=[{"role": "user", "content": question}], stream=True
        )
        for chunk in stream:
            began()
            for choice in chunk.choices:
                heard.text += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    assert call.function is not None
                    if call.index == len(heard.calls):
                        assert call.function.name
                        assert call.id
                        heard.calls.append([call.function.name, ""])
                    heard.calls[call.index][1] += call.function.arguments or ""
    return heard


def _chat_whole(gateway: Gateway, key: Key, question: str) -> Heard:
    with _openai(gateway, key) as client:
        answer = client.chat.completions.create(model=ASKED, messages=[{"role": "user", "content": question}])
    message = answer.choices[0].message
    calls = [call for call in message.tool_calls or [] if call.type == "function"]
    return Heard(message.content or "", [[call.function.name, call.function.arguments] for call in calls])


def _responses(gateway: Gateway, key: Key, question: str, began: Callable[[], None]) -> Heard:
    heard = Heard()
    with _openai(gateway, key) as client:
        for event in client.responses.create(model=ASKED, input=question, stream=True, store=False):
            began()
            if event.type == "response.output_text.delta":
                heard.text += event.delta
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                heard.calls.append([event.item.name, event.item.arguments])
    return heard


def _responses_whole(gateway: Gateway, key: Key, question: str) -> Heard:
    with _openai(gateway, key) as client:
        answer = client.responses.create(model=ASKED, input=question, store=False)
    calls = [item for item in answer.output if item.type == "function_call"]
    return Heard(answer.output_text, [[call.name, call.arguments] for call in calls])


def _anthropic(gateway: Gateway, key: Key) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=_base(gateway), api_key=key.secret, max_retries=0, timeout=PATIENCE)


def _messages(gateway: Gateway, key: Key, question: str, began: Callable[[], None]) -> Heard:
    heard = Heard()
    with _anthropic(gateway, key) as client:
        stream = client.messages.create(
            model=ASKED, max_tokens=4096, messages=[{"role": "user", "content": question}], stream=True
        )
        for event in stream:
            began()
            if event.type == "content_block_start" and event.content_block.type == "tool_use":
                heard.calls.append([event.content_block.name, ""])
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                heard.text += event.delta.text
            elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                heard.calls[-1][1] += event.delta.partial_json
    return heard


def _messages_whole(gateway: Gateway, key: Key, question: str) -> Heard:
    with _anthropic(gateway, key) as client:
        answer = client.messages.create(model=ASKED, max_tokens=4096, messages=[{"role": "user", "content": question}])
    text = "".join(block.text for block in answer.content if block.type == "text")
    used = [block for block in answer.content if block.type == "tool_use"]
    return Heard(text, [[block.name, json.dumps(block.input)] for block in used])


def _ollama(gateway: Gateway, key: Key) -> ollama.Client:
    return ollama.Client(_base(gateway), headers={"Authorization": f"Bearer {key.secret}"}, timeout=PATIENCE)


def _lines(gateway: Gateway, key: Key, question: str, began: Callable[[], None]) -> Heard:
    heard, client = Heard(), _ollama(gateway, key)
    try:
        for part in client.chat(ASKED, [{"role": "user", "content": question}], stream=True):
            began()
            _add(heard, part.message)
    finally:
        client.close()  # type: ignore[no-untyped-call]
    return heard


def _lines_whole(gateway: Gateway, key: Key, question: str) -> Heard:
    heard, client = Heard(), _ollama(gateway, key)
    try:
        _add(heard, client.chat(ASKED, [{"role": "user", "content": question}]).message)
    finally:
        client.close()  # type: ignore[no-untyped-call]
    return heard


def _add(heard: Heard, message: ollama.Message) -> None:
    heard.text += message.content or ""
    for call in message.tool_calls or []:
        heard.calls.append([call.function.name, json.dumps(dict(call.function.arguments))])


SDKS: Final = {
    "openai": Sdk(_chat, _chat_whole, openai.APIError, openai.InternalServerError),
    "responses": Sdk(_responses, _responses_whole, openai.APIError, openai.InternalServerError),
    "anthropic": Sdk(_messages, _messages_whole, anthropic.APIStatusError, anthropic.InternalServerError),
    "ollama": Sdk(_lines, _lines_whole, ollama.ResponseError, ollama.ResponseError),
}
