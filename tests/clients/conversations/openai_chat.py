"""openai for Python, chat completions: 2.x and 3.x."""

from __future__ import annotations

import json

import openai
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam

from policies.json import JSON, Object
from tests.clients.conversations import talk

_TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": talk.TOOL, "parameters": talk.PARAMETERS, "strict": False},
}


def _hello(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


class Chat:
    def __init__(self) -> None:
        self._client = self._connect(talk.KEY)

    @staticmethod
    def _connect(key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{talk.BASE}/v1", api_key=key, max_retries=0, timeout=talk.TIMEOUT)

    def version(self) -> str:
        return openai.__version__

    def conversation(self) -> Object:
        messages = _hello(talk.WEATHER)
        with self._client.chat.completions.stream(
            model=talk.MODEL,
            messages=messages,
            max_tokens=talk.MAX_TOKENS,
            temperature=0,
            tools=[_TOOL],
            tool_choice={"type": "function", "function": {"name": talk.TOOL}},
        ) as stream:
            answer = stream.get_final_completion().choices[0].message
        (call,) = answer.tool_calls or []
        more: list[ChatCompletionMessageParam] = [
            *messages,
            {
                "role": "assistant",
                "content": answer.content,
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.function.name, "arguments": call.function.arguments},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": call.id, "content": talk.RESULT},
        ]
        pieces = 0
        with self._client.chat.completions.stream(
            model=talk.MODEL, messages=more, max_tokens=talk.MAX_TOKENS, temperature=0, tools=[_TOOL]
        ) as stream:
            for event in stream:
                pieces += event.type == "content.delta"
            text = stream.get_final_completion().choices[0].message.content
        made: JSON = {"name": call.function.name, "input": json.loads(call.function.arguments)}
        return {"call": made, "text": text, "pieces": pieces}

    def refused(self) -> None:
        with self._connect(talk.NARROW_KEY) as narrow:
            narrow.chat.completions.create(model=talk.MODEL, messages=_hello("hi"))

    def broken(self) -> None:
        for _ in self._stream(talk.BREAK):
            pass

    def _stream(self, text: str) -> openai.Stream[openai.types.chat.ChatCompletionChunk]:
        return self._client.chat.completions.create(
            model=talk.MODEL, messages=_hello(text), max_tokens=talk.MAX_TOKENS, temperature=0, stream=True
        )

    def left(self) -> None:
        with self._stream(talk.STAY) as stream:
            next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)

    def after(self) -> str:
        answer = self._client.chat.completions.create(
            model=talk.MODEL, messages=_hello(talk.AFTER), max_tokens=talk.MAX_TOKENS, temperature=0
        )
        return answer.choices[0].message.content or ""


if __name__ == "__main__":
    talk.told(Chat())
