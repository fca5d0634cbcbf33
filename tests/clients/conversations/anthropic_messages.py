"""anthropic for Python: 1.x with the wire of 2023-06-01, 2.x with that of 2026-10-21."""

from __future__ import annotations

from typing import Final, cast

import anthropic
from anthropic.types import MessageParam, ToolParam

from policies.json import JSON, Object
from tests.clients.conversations import talk

_TOOL: ToolParam = {"name": talk.TOOL, "input_schema": talk.PARAMETERS}
_COLD: Final = {"temperature": 0}
"""Not in the signature of 2.x, whose wire has no temperature."""


def _hello(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


class Messages:
    def __init__(self) -> None:
        self._client = self._connect(talk.KEY)

    @staticmethod
    def _connect(key: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=talk.BASE, api_key=key, max_retries=0, timeout=talk.TIMEOUT)

    def version(self) -> str:
        return anthropic.__version__

    def conversation(self) -> Object:
        messages = _hello(talk.WEATHER)
        with self._client.messages.stream(
            model=talk.MODEL,
            max_tokens=talk.MAX_TOKENS,
            messages=messages,
            tools=[_TOOL],
            tool_choice={"type": "tool", "name": talk.TOOL},
            extra_body=_COLD,
        ) as stream:
            answer = stream.get_final_message()
        (call,) = (block for block in answer.content if block.type == "tool_use")
        more: list[MessageParam] = [
            *messages,
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": talk.RESULT}]},
        ]
        with self._client.messages.stream(
            model=talk.MODEL, max_tokens=talk.MAX_TOKENS, messages=more, tools=[_TOOL], extra_body=_COLD
        ) as stream:
            pieces = list(stream.text_stream)
            text = "".join(block.text for block in stream.get_final_message().content if block.type == "text")
        made: JSON = {"name": call.name, "input": cast("Object", call.input)}
        return {"call": made, "text": text, "pieces": len(pieces)}

    def refused(self) -> None:
        with self._connect(talk.NARROW_KEY) as narrow:
            narrow.messages.create(model=talk.MODEL, max_tokens=4, messages=_hello("hi"))

    def broken(self) -> None:
        with self._client.messages.stream(model=talk.MODEL, max_tokens=64, messages=_hello(talk.BREAK)) as stream:
            stream.until_done()

    def left(self) -> None:
        with self._client.messages.stream(
            model=talk.MODEL, max_tokens=talk.MAX_TOKENS, messages=_hello(talk.STAY), extra_body=_COLD
        ) as stream:
            next(iter(stream.text_stream))

    def after(self) -> str:
        answer = self._client.messages.create(
            model=talk.MODEL, max_tokens=talk.MAX_TOKENS, messages=_hello(talk.AFTER), extra_body=_COLD
        )
        return "".join(block.text for block in answer.content if block.type == "text")


if __name__ == "__main__":
    talk.told(Messages())
