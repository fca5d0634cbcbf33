"""Content parts: rebuilt, data only."""

from __future__ import annotations

import pytest

from engines.adapters.messages import prepared
from engines.contract import Kind
from policies.errors import Refusal
from policies.json import JSON, as_list
from tests.engines.adapters.calls import built, chat

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def content(part: JSON) -> list[JSON]:
    return [{"role": "user", "content": [part]}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": "data:text/html,x"}},
        {"type": "image_url", "image_url": "http://169.254.169.254/"},  # mlx-lm takes a bare string too
        {"type": "image", "image": "http://169.254.169.254/"},  # and this
        {"type": "input_image", "image_url": "http://169.254.169.254/"},  # and this
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,"}},
        {"type": "audio_url", "audio_url": {"url": "http://127.0.0.1/"}},
        {"type": "input_audio", "input_audio": {"data": "http://127.0.0.1/", "format": "wav"}},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "text ", "text": "x"},
        {"text": "x"},
        "x",
        None,
        {"type": ["text"]},
    ],
)
def test_nothing_an_engine_could_fetch_and_nothing_unknown(part: JSON) -> None:
    with pytest.raises(Refusal) as caught:
        prepared(content(part), media=True)
    assert caught.value.param == "messages"


def test_parts_are_written_anew() -> None:
    image: JSON = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low", "x": 1}, "image": "http://x/"}
    assert prepared(content(image), media=True) == content(
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    )
    text: JSON = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    assert prepared(content(text), media=True) == content({"type": "text", "text": "a"})
    audio: JSON = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav", "url": "http://x"}}
    assert prepared(content(audio), media=True) == content(
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    )


@pytest.mark.parametrize("messages", [None, "x", {}, ["x"], [None], [{"role": "user", "content": {"type": "text"}}]])
def test_what_is_no_list_of_messages(messages: JSON) -> None:
    with pytest.raises(Refusal):
        prepared(messages, media=True)


def test_a_tool_call_without_words_goes_back_as_empty_text_where_null_is_an_error() -> None:
    calls: list[JSON] = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    asked: list[JSON] = [{"role": "assistant", "content": None, "tool_calls": calls}]
    assert prepared(asked, media=False, flat=True) == [{"role": "assistant", "content": "", "tool_calls": calls}]
    assert prepared(asked, media=False) == asked


def test_developer_becomes_system_everywhere() -> None:
    asked: list[JSON] = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]
    for kind in Kind:
        sent = built(kind, chat(asked))["messages"]
        assert sent == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    assert asked[0] == {"role": "developer", "content": "be brief"}  # the call itself is not changed


def test_mlx_takes_text_only() -> None:
    image: JSON = {"type": "image_url", "image_url": {"url": PIXEL}}
    with pytest.raises(Refusal):
        built(Kind.MLX_LM, chat(content(image)))
    assert built(Kind.OLLAMA, chat(content(image)))["messages"] == content(image)


@pytest.mark.parametrize("kind", [Kind.OLLAMA, Kind.LLAMA_CPP_PYTHON])
def test_text_parts_are_joined_for_engines_that_would_split_or_print_them(kind: Kind) -> None:
    asked: list[JSON] = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert built(kind, chat(asked))["messages"] == [{"role": "user", "content": "a\nb"}]


def test_tool_calls_and_results_pass() -> None:
    asked: list[JSON] = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ]
    assert prepared(asked, media=False) == asked


def system(content: JSON) -> JSON:
    return {"role": "system", "content": content}


HI: JSON = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ([system("a"), HI], [system("a"), HI]),
        ([HI, system("a")], [system("a"), HI]),
        ([system("a"), system("b"), HI], [system("a\n\nb"), HI]),
        ([system("a"), HI, {"role": "developer", "content": "b"}, HI], [system("a\n\nb"), HI, HI]),
        ([system("a"), HI, system("")], [system("a"), HI]),
        ([HI, system("")], [HI]),
        (
            [system([{"type": "text", "text": "a"}]), HI, system("b")],
            [system([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), HI],
        ),
    ],
)
def test_all_that_is_said_as_the_system_is_one_message_at_the_start(asked: list[JSON], sent: list[JSON]) -> None:
    assert prepared(asked, media=False) == sent


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "said", [{"reasoning": "hm"}, {"reasoning_content": "hm"}, {"reasoning": "hm", "reasoning_content": "hm"}]
)
def test_what_was_thought_goes_back_under_the_names_that_the_engine_reads(kind: Kind, said: dict[str, JSON]) -> None:
    (turn,) = as_list(built(kind, chat([{"role": "assistant", "content": "so", **said}]))["messages"])
    names = {
        Kind.OLLAMA: {"reasoning"},
        Kind.LLAMA_SERVER: {"reasoning_content"},
        Kind.LLAMA_CPP_PYTHON: {"reasoning_content"},
        Kind.MLX_LM: {"reasoning_content"},
    }.get(kind, {"reasoning", "reasoning_content"})
    assert turn == {"role": "assistant", "content": "so", **dict.fromkeys(names, "hm")}


def test_an_empty_thought_is_none() -> None:
    asked: list[JSON] = [{"role": "assistant", "content": "so", "reasoning": "", "reasoning_content": None}]
    assert prepared(asked, media=False) == [{"role": "assistant", "content": "so"}]
