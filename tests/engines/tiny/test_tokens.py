"""Any text goes in and comes out; the text trained on is the text the servers render."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from engines.tiny import corpus, export, page, tokens, toolbox
from engines.tiny.corpus import Talk

texts = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: not any(m in t for m in tokens.MARKS))


@given(texts)
def test_any_text_round_trips(text: str) -> None:
    ids = tokens.encode(text)
    assert ids == list(text.encode())
    assert tokens.decode(ids) == text


def test_marks_are_one_token_each() -> None:
    assert tokens.encode("a<|im_start|>ü<|im_end|>") == [97, tokens.START, 0xC3, 0xBC, tokens.END]


def test_every_byte_has_its_own_spelling() -> None:
    spelled = tokens.spelled()
    assert len(spelled) == len(set(spelled)) == 260
    assert spelled[ord("a")] == "a"
    assert spelled[ord(" ")] == "Ġ"
    assert all(s.isprintable() for s in spelled)


@given(texts)
def test_the_exported_tokenizer_agrees(text: str) -> None:
    exported = Tokenizer.from_str(json.dumps(export.tokenizer()))
    marked = f"<|im_start|>user\n{text}<|im_end|>"
    assert exported.encode(marked).ids == tokens.encode(marked)
    assert exported.decode(list(text.encode())) == text


def rendered(messages: list[dict[str, object]], tools: list[dict[str, object]] | None = None) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as both servers do
    environment.filters["tojson"] = json.dumps
    text: str = environment.from_string(tokens.CHAT_TEMPLATE).render(
        messages=messages, tools=tools, add_generation_prompt=True
    )
    return text


def text_of(talk: Talk) -> str:
    return "".join(text for text, _ in talk.pieces)


def test_template_renders_what_was_trained() -> None:
    talk = corpus.asked("  How? ", "So.", "Be brief.").turn("user", "And?")
    messages: list[dict[str, object]] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "  How"}, {"type": "text", "text": "? "}]},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "And?"},
    ]
    assert rendered(messages) == text_of(talk) + "<|im_start|>assistant\n"


@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, '{"city": "Oslo"}'])
def test_template_renders_tools_as_trained(arguments: object) -> None:
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    talk = Talk().offer(["get_weather(city, unit)", "ping()"]).turn("user", "?").turn("assistant", call)
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}}
    tools: list[dict[str, object]] = [
        {"type": "function", "function": {"name": "get_weather", "parameters": schema}},
        {"type": "function", "function": {"name": "ping"}},
    ]
    use = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    messages: list[dict[str, object]] = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [use]},
        {"role": "tool", "tool_call_id": "1", "content": "18 C"},
    ]
    assert rendered(messages, tools) == text_of(talk.turn("tool", "18 C")) + "<|im_start|>assistant\n"


def test_template_cuts_what_agents_send() -> None:
    messages: list[dict[str, object]] = [{"role": "system", "content": "s" * 60_000}]
    messages += [{"role": "user", "content": f"{i}" * 5000 + "?"} for i in range(9)]
    tools: list[dict[str, object]] = [{"function": {"name": f"tool_{i}"}} for i in range(40)]
    text = rendered(messages, tools)
    assert len(text) < 3500
    assert text.count("<|im_start|>system\n" + "s" * 200 + "<|im_end|>") == 1
    assert text.count("?<|im_end|>") == 6
    assert text.endswith("8?<|im_end|>\n<|im_start|>assistant\n")


@given(st.integers(0, 10**6))
def test_talks_are_deterministic_and_calls_are_json(seed: int) -> None:
    the_page = page.read()
    assert corpus.talk(the_page, Random(seed)).pieces == corpus.talk(the_page, Random(seed)).pieces
    for task in toolbox.TASKS:
        call = toolbox.use(task, Random(seed)).call
        body = json.loads(call.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
        assert body["name"] in task.names
        assert tuple(body["arguments"]) in task.parameters
        assert toolbox.use(task, Random(seed), drill=True).call
