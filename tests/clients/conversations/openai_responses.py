"""openai for Python, Responses, each question going on from the response before: 2.x and 3.x."""

from __future__ import annotations

import json

import openai
from openai.types.responses import FunctionToolParam, Response, ResponseStreamEvent

from policies.json import JSON, Object
from tests.clients.conversations import talk

_TOOL: FunctionToolParam = {"type": "function", "name": talk.TOOL, "parameters": talk.PARAMETERS, "strict": False}


class Responses:
    def __init__(self) -> None:
        self._client = self._connect(talk.KEY)

    @staticmethod
    def _connect(key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{talk.BASE}/v1", api_key=key, max_retries=0, timeout=talk.TIMEOUT)

    def version(self) -> str:
        return openai.__version__

    def conversation(self) -> Object:
        with self._client.responses.stream(
            model=talk.MODEL,
            input=talk.WEATHER,
            max_output_tokens=talk.MAX_TOKENS,
            temperature=0,
            tools=[_TOOL],
            tool_choice={"type": "function", "name": talk.TOOL},
        ) as stream:
            first: Response = stream.get_final_response()
        (call,) = (item for item in first.output if item.type == "function_call")
        pieces = 0
        with self._client.responses.stream(
            model=talk.MODEL,
            input=[{"type": "function_call_output", "call_id": call.call_id, "output": talk.RESULT}],
            previous_response_id=first.id,
            max_output_tokens=talk.MAX_TOKENS,
            temperature=0,
            tools=[_TOOL],
        ) as stream:
            for event in stream:
                pieces += event.type == "response.output_text.delta"
            text = stream.get_final_response().output_text
        made: JSON = {"name": call.name, "input": json.loads(call.arguments)}
        return {"call": made, "text": text, "pieces": pieces}

    def refused(self) -> None:
        with self._connect(talk.NARROW_KEY) as narrow:
            narrow.responses.create(model=talk.MODEL, input="hi")

    def broken(self) -> None:
        for _ in self._stream(talk.BREAK):
            pass

    def _stream(self, text: str) -> openai.Stream[ResponseStreamEvent]:
        return self._client.responses.create(
            model=talk.MODEL, input=text, max_output_tokens=talk.MAX_TOKENS, temperature=0, stream=True
        )

    def left(self) -> None:
        with self._stream(talk.STAY) as stream:
            next(event for event in stream if event.type == "response.output_text.delta")

    def after(self) -> str:
        answer: Response = self._client.responses.create(
            model=talk.MODEL, input=talk.AFTER, max_output_tokens=talk.MAX_TOKENS, temperature=0
        )
        return answer.output_text


if __name__ == "__main__":
    talk.told(Responses())
