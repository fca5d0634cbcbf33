"""ollama for Python. Its protocol cannot force a call: an engine that makes none is told of one all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.metadata import version
from typing import Final, cast

import ollama

from policies.json import JSON, Object
from tests.clients.conversations import talk

_TOOL: Final = {"type": "function", "function": {"name": talk.TOOL, "parameters": talk.PARAMETERS}}
_OPTIONS: Final = {"temperature": 0, "num_predict": talk.MAX_TOKENS}


def _hello(text: str) -> list[Mapping[str, object]]:
    return [{"role": "user", "content": text}]


class Chat:
    def __init__(self) -> None:
        self._client = self._connect(talk.KEY)

    @staticmethod
    def _connect(key: str) -> ollama.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return ollama.Client(host=talk.BASE, headers=headers, timeout=talk.TIMEOUT)

    def version(self) -> str:
        return version("ollama")

    def conversation(self) -> Object:
        messages = _hello(talk.WEATHER)
        asked = self._client.chat(talk.MODEL, messages, tools=[_TOOL], stream=True, options=_OPTIONS)
        made = [call.function for line in asked for call in line.message.tool_calls or []]
        arguments = dict(made[0].arguments) if made else {"city": "Paris"}
        more = [
            *messages,
            {"role": "assistant", "tool_calls": [{"function": {"name": talk.TOOL, "arguments": arguments}}]},
            {"role": "tool", "tool_name": talk.TOOL, "content": talk.RESULT},
        ]
        answer = self._client.chat(talk.MODEL, more, tools=[_TOOL], stream=True, options=_OPTIONS)
        pieces = [line.message.content for line in answer if line.message.content]
        call: JSON = {"name": made[0].name, "input": cast("Object", arguments)} if made else None
        return {"call": call, "text": "".join(pieces), "pieces": len(pieces)}

    def refused(self) -> None:
        narrow = self._connect(talk.NARROW_KEY)
        with closing(narrow):
            narrow.chat(talk.MODEL, _hello("hi"))

    def broken(self) -> None:
        for _ in self._stream(talk.BREAK):
            pass

    def _stream(self, text: str) -> Iterator[ollama.ChatResponse]:
        return self._client.chat(talk.MODEL, _hello(text), stream=True, options=_OPTIONS)

    def left(self) -> None:
        stream = self._stream(talk.STAY)
        next(line for line in stream if line.message.content)
        stream.close()  # type: ignore[attr-defined]  # a generator, annotated by its protocol

    def after(self) -> str:
        return self._client.chat(talk.MODEL, _hello(talk.AFTER), options=_OPTIONS).message.content or ""

    def close(self) -> None:
        """No connection is left for the garbage collector to complain of."""
        self._client.close()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    with closing(Chat()) as made:
        talk.told(made)
