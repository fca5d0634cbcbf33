"""The input document is what its schema says, holds nothing that was said, and counts what it counts."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from policies.call import Call, Dialect, Operation
from policies.input import NO_SHAPE, PolicyInput, Shape, shape_of
from policies.json import JSON, Object
from policies.schemas import schema
from tests.policies.strategies import INPUTS, JSONS, LEAVES

SECRET = "the-secret-word"


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(schema("input"))


@given(INPUTS)
def test_every_document_is_what_the_schema_says(asked: PolicyInput) -> None:
    validator().validate(asked.document())


@given(INPUTS)
def test_every_document_survives_json(asked: PolicyInput) -> None:
    document = asked.document()
    assert json.loads(json.dumps(document)) == document


@given(INPUTS)
def test_no_value_is_null(asked: PolicyInput) -> None:
    assert "null" not in json.dumps(asked.document()).replace('"', "").split()
    assert all(value is not None for value in leaves(asked.document()))


def leaves(value: JSON) -> list[JSON]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def test_every_field_of_the_schema_is_required_and_described() -> None:
    def walk(part: Object, path: str) -> None:
        assert isinstance(part.get("description"), str), path
        properties = part.get("properties")
        if isinstance(properties, dict):
            assert part["required"] == list(properties), path
            assert part["additionalProperties"] is False
            for name, inner in properties.items():
                assert isinstance(inner, dict)
                walk(inner, f"{path}.{name}")

    walk(schema("input"), "input")


def call(**body: JSON) -> Call:
    return Call(Operation.CHAT, Dialect.OPENAI, "m", body=body)


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        (call(), NO_SHAPE),
        (Call(Operation.CHAT, Dialect.OPENAI, "m", stream=True, max_tokens=7, n=3), Shape(True, 7, 3)),
        (
            call(messages=[{"role": "system", "content": "12345"}, {"role": "user", "content": "678"}]),
            Shape(messages=2, input_chars=8, has_system=True),
        ),
        (call(messages=[{"role": "developer", "content": None}]), Shape(messages=1, has_system=True)),
        (
            call(
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "123"},
                            {"type": "image_url", "image_url": {"url": "data:,1234567"}},
                            {"type": "image_url", "image_url": {"url": "data:,"}},
                            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                        ],
                    }
                ]
            ),
            Shape(messages=1, images=2, audio=1, input_chars=3),
        ),
        (
            call(
                messages=[
                    {
                        "role": "assistant",
                        "content": [{"type": "refusal", "refusal": "1"}],
                        "reasoning_content": "23",
                        "reasoning": "23",
                        "refusal": "456",
                        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "7890"}}],
                    },
                    {"role": "assistant", "content": "1", "reasoning": "2"},
                ]
            ),
            Shape(messages=2, input_chars=12),
        ),
        (call(prompt="1234"), Shape(input_chars=4)),
        (call(prompt="1234", suffix="56"), Shape(input_chars=6)),
        (call(prompt=["1234", "56"]), Shape(input_chars=6)),
        (call(prompt=[1, 2, 3]), Shape(input_chars=12)),
        (call(input=[[1, 2], [3]]), Shape(input_chars=12)),
        (call(query="12345", documents=["a", "bc", {"text": "d"}]), Shape(input_chars=5 * 3 + 4)),
        (call(text_1="12345", text_2=["a", "bc"]), Shape(input_chars=5 * 2 + 3)),
        (call(text_1=["12", "345"], text_2=["a", "bc"]), Shape(input_chars=8)),
        (call(temperature=0), Shape(temperature=0.0)),
        (call(response_format={"type": "json_object"}), Shape(response_format="json_object")),
        (
            call(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}, {"type": "other"}]),
            Shape(tools=2, tool_names=("f", "")),
        ),
    ],
)
def test_shapes(asked: Call, shape: Shape) -> None:
    assert shape_of(asked) == shape


def test_a_thousand_tools_are_counted_and_the_first_256_named() -> None:
    tools: list[JSON] = [{"function": {"name": f"f{i}"}} for i in range(1000)]
    shape = shape_of(call(tools=tools))
    assert (shape.tools, len(shape.tool_names)) == (1000, 256)


BODIES = st.dictionaries(
    st.sampled_from(
        ["messages", "prompt", "input", "tools", "temperature", "response_format", "query", "documents", "text_2"]
    ),
    JSONS | st.lists(st.dictionaries(st.sampled_from(["role", "content", "function", "type", "text"]), JSONS)),
)


@given(BODIES)
def test_no_body_is_too_odd_to_be_counted(body: Object) -> None:
    shape = shape_of(call(**body))
    assert min(shape.tools, shape.images, shape.audio, shape.messages, shape.input_chars) >= 0


@given(st.lists(st.sampled_from(["user", "system", "assistant", "tool"]), min_size=1), LEAVES)
def test_nothing_that_is_said_gets_into_a_document(roles: list[str], extra: JSON) -> None:
    messages: list[JSON] = [
        {"role": role, "content": [{"type": "text", "text": SECRET}], SECRET: extra} for role in roles
    ]
    parameters: Object = {"description": SECRET}
    tools: list[JSON] = [
        {"type": "function", "function": {"name": "f", "description": SECRET, "parameters": parameters}}
    ]
    shape = shape_of(call(messages=messages, tools=tools, prompt=SECRET, input=SECRET, user=SECRET))
    assert SECRET not in repr(shape)
    assert shape.input_chars == (len(roles) + 2) * len(SECRET)
