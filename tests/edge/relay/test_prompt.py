"""What is counted of a prompt where its engine counts nothing."""

from __future__ import annotations

import pytest

from edge.relay.prompt import prompt_text
from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object


def asked(operation: Operation, **body: JSON) -> Call:
    return Call(operation, Dialect.OPENAI, "m", body=body)


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user", "content": "WORD"},
        {"role": "user", "content": [{"type": "text", "text": "WORD"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "WORD"}]},
        {"role": "assistant", "content": None, "reasoning_content": "WORD"},
        {"role": "assistant", "content": None, "reasoning": "WORD"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "WORD"}}]},
    ],
)
def test_all_text_of_a_chat_is_in_it(turn: Object) -> None:
    assert prompt_text(asked(Operation.CHAT, messages=[turn])) == "WORD"


def test_tools_are_in_it_and_both_ends_of_a_completion() -> None:
    tools: JSON = [{"type": "function", "function": {"name": "f", "description": "WORD"}}]
    assert "WORD" in prompt_text(asked(Operation.CHAT, messages=[], tools=tools))
    assert prompt_text(asked(Operation.COMPLETIONS, prompt=["a", "b"], suffix="c")) == "a\nb\nc"
