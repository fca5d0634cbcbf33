"""Messages, media and tools."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.fields import Kind, Notes
from edge.intake.openai_messages import (
    MAX_MEDIA,
    MAX_TOOLS,
    MESSAGES,
    RESPONSE_FORMAT,
    TOOL_CHOICE,
    TOOLS,
    is_base64,
)
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused
from tests.edge.intake.samples import PNG, TOOL


def read(kind: Kind, value: JSON, *, strict: bool = False) -> tuple[JSON, tuple[str, ...]]:
    notes = Notes(strict=strict)
    return kind.read(value, (None, "p"), notes), notes.ignored


def image(url: JSON) -> JSON:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "function"])
def test_every_role_may_say_something(role: str) -> None:
    turn: list[JSON] = [{"role": role, "content": "x"}]
    assert read(MESSAGES, turn) == (turn, ())


def test_a_system_turn_in_the_middle_is_fine() -> None:
    turns: list[JSON] = [{"role": r, "content": ""} for r in ("user", "assistant", "system", "user")]
    assert read(MESSAGES, turns) == (turns, ())


@pytest.mark.parametrize(
    ("turn", "place", "reason"),
    [
        ({"role": "root", "content": "x"}, "p[].role", Reason.INVALID_PARAMETER),
        ({"role": "User", "content": "x"}, "p[].role", Reason.INVALID_PARAMETER),
        ({"content": "x"}, "p[].role", Reason.MISSING_PARAMETER),
        ({"role": "user"}, "p[].content", Reason.MISSING_PARAMETER),
        ({"role": "tool", "content": None}, "p[].content", Reason.MISSING_PARAMETER),
        ({"role": "user", "content": 1}, "p[].content", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": {}}, "p[].content", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": []}, "p[].content", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": ["x"]}, "p[].content", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": [{"text": "x"}]}, "p[].content[]", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": [{"type": "text"}]}, "p[].content[].text", Reason.MISSING_PARAMETER),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "p[].content[]", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": [{"type": "video_url"}]}, "p[].content[]", Reason.INVALID_PARAMETER),
        ({"role": "user", "content": "x", "name": "a\nb"}, "p[].name", Reason.INVALID_PARAMETER),
        ({"role": "assistant", "tool_calls": {}}, "p[].tool_calls", Reason.INVALID_PARAMETER),
        ({"role": "assistant", "tool_calls": [{}]}, "p[].tool_calls[].function", Reason.MISSING_PARAMETER),
        (
            {"role": "assistant", "tool_calls": [{"type": "custom", "function": {}}]},
            "p[].tool_calls[].type",
            Reason.INVALID_PARAMETER,
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            "p[].tool_calls[].function.arguments",
            Reason.INVALID_PARAMETER,
        ),
    ],
)
def test_a_turn_that_an_engine_would_fall_over_is_refused(turn: Object, place: str, reason: Reason) -> None:
    with refused(reason, place):
        read(MESSAGES, [turn])


def test_an_assistant_may_say_nothing() -> None:
    turns: list[JSON] = [{"role": "assistant"}, {"role": "assistant", "content": None}]
    assert read(MESSAGES, turns) == (turns, ())


def test_what_clients_hang_on_messages_is_dropped_and_named() -> None:
    turn: Object = {
        "role": "assistant",
        "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        "annotations": [],
        "reasoning_details": [],
        "tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}],
    }
    clean, ignored = read(MESSAGES, [turn])
    assert clean == [
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "x"}],
            "tool_calls": [{"function": {"name": "f", "arguments": ""}}],
        }
    ]
    assert set(ignored) == {
        "p[].content[].cache_control",
        "p[].annotations",
        "p[].reasoning_details",
        "p[].tool_calls[].index",
    }


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
def test_pictures_come_as_data(kind: str) -> None:
    turns = image(f"data:image/{kind};base64,AAAA")
    assert read(MESSAGES, turns) == (turns, ())


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://example.com/a.png",
        "HTTP://example.com/a.png",
        "file:///etc/passwd",
        "//example.com/a.png",
        "\\\\example.com\\a.png",
        "ftp://x/",
        "",
        " " + PNG,
        PNG + "\n",
        PNG + " ",
        PNG + "http://example.com",
        "data:",
        "data:image/png;base64,",
        "data:image/png;base64,=",
        "data:image/png;base64,AA=A",
        "data:image/png;base64,AAé=",
        "data:image/png,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:image/png;x=y;base64,AAAA",
        "data:IMAGE/PNG;base64,AAAA",
        "data:video/jpeg;base64,AAAA",
        "data:text/html;base64,AAAA",
        "data:image/png;base64,AAAA#http://x/",
        1,
        None,
        ["x"],
    ],
)
def test_no_address_is_ever_passed_on(url: JSON) -> None:
    with refused(Reason.MISSING_PARAMETER if url is None else Reason.INVALID_PARAMETER, "p[].content[].image_url.url"):
        read(MESSAGES, image(url))


def test_sound_is_base64_of_a_known_format() -> None:
    def sound(data: str, kind: str) -> JSON:
        part: Object = {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
        return [{"role": "user", "content": [part]}]

    assert read(MESSAGES, sound("UklGRg==", "mp3"))[1] == ()
    with refused(Reason.INVALID_PARAMETER, "p[].content[].input_audio.data"):
        read(MESSAGES, sound("http://x/", "mp3"))
    with refused(Reason.INVALID_PARAMETER, "p[].content[].input_audio.format"):
        read(MESSAGES, sound("UklGRg==", "exe"))


def test_media_are_counted_over_all_turns() -> None:
    turns: list[JSON] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}] * MAX_MEDIA
    assert read(MESSAGES, turns)[1] == ()
    with refused(Reason.INVALID_PARAMETER, "p[].content[].image_url.url"):
        read(MESSAGES, [*turns, turns[0]])


@CALM
@given(st.binary(min_size=1))
def test_what_base64_writes_is_base64(data: bytes) -> None:
    assert is_base64(base64.b64encode(data).decode())


def test_checking_a_large_picture_is_quick() -> None:
    start = time.process_time()
    assert is_base64("iVBORw0K" * (1 << 21))
    assert time.process_time() - start < 0.5


def test_tools_of_other_kinds_are_dropped_and_named() -> None:
    others: list[JSON] = [{"type": "web_search"}, {"type": "namespace", "tools": []}, {"type": "custom", "custom": {}}]
    assert read(TOOLS, [*others, TOOL]) == ([TOOL], ("p[]",))
    assert read(TOOLS, []) == ([], ())


@pytest.mark.parametrize(
    ("tool", "place", "reason"),
    [
        ({}, "p[].type", Reason.MISSING_PARAMETER),
        ("x", "p[]", Reason.INVALID_PARAMETER),
        ({"Type": "function"}, "p[]", Reason.INVALID_PARAMETER),
        ({"type": 1}, "p[].type", Reason.INVALID_PARAMETER),
        ({"type": "function"}, "p[].function", Reason.MISSING_PARAMETER),
        ({"type": "function", "function": {}}, "p[].function.name", Reason.MISSING_PARAMETER),
        ({"type": "function", "function": {"name": "a b"}}, "p[].function.name", Reason.INVALID_PARAMETER),
        ({"type": "function", "function": {"name": "a\n"}}, "p[].function.name", Reason.INVALID_PARAMETER),
        ({"type": "function", "function": {"name": "x" * 129}}, "p[].function.name", Reason.INVALID_PARAMETER),
        (
            {"type": "function", "function": {"name": "f", "parameters": {"$ref": "http://x/"}}},
            "p[].function.parameters",
            Reason.INVALID_PARAMETER,
        ),
        (
            {"type": "function", "function": {"name": "f", "parameters": {"description": "x" * 200_000}}},
            "p[].function.parameters",
            Reason.INVALID_PARAMETER,
        ),
    ],
)
def test_a_tool_that_is_none_is_refused(tool: JSON, place: str, reason: Reason) -> None:
    with refused(reason, place):
        read(TOOLS, [tool])


def test_there_may_be_so_many_tools() -> None:
    assert read(TOOLS, [TOOL] * MAX_TOOLS)[1] == ()
    with refused(Reason.INVALID_PARAMETER, "p"):
        read(TOOLS, [TOOL] * (MAX_TOOLS + 1))


@pytest.mark.parametrize("choice", ["none", "auto", "required", {"type": "function", "function": {"name": "f"}}])
def test_a_choice_of_tool(choice: JSON) -> None:
    assert read(TOOL_CHOICE, choice) == (choice, ())


@pytest.mark.parametrize("choice", ["any", "", 1, [], {}, {"type": "allowed_tools"}, {"type": "custom"}])
def test_no_choice_of_tool(choice: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "p"):
        read(TOOL_CHOICE, choice)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_object", "schema": {"type": "object"}},
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": False}},
    ],
)
def test_a_response_format(value: JSON) -> None:
    assert read(RESPONSE_FORMAT, value) == (value, ())


@pytest.mark.parametrize("value", [{"type": "grammar"}, {"type": "regex"}, {"type": "structural_tag"}, "json", {}])
def test_no_response_format(value: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "p"):
        read(RESPONSE_FORMAT, value)
