"""A Responses request becomes a chat body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.intake import continued, read_call
from edge.intake.routes import Routes
from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.reasons import Reason
from tests.edge.intake.refusals import refused

PICTURE = "data:image/png;base64,aGk="
SCHEMA: Object = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: Object = {"type": "function", "name": "weather", "parameters": SCHEMA}
BODY = ("messages",)


def read(path: str = "/v1/responses", /, **more: JSON) -> Call:
    route = Routes().match("POST", path)
    assert route is not None
    return read_call(route, {"model": "tiny", "input": "hi", **more})


def messages(*items: JSON, **more: JSON) -> list[JSON]:
    return as_list(read(input=list(items), **more).body["messages"])


def user(*parts: JSON) -> Object:
    return {"role": "user", "content": list(parts)}


def text(words: str) -> Object:
    return {"type": "input_text", "text": words}


def said(words: str, **more: JSON) -> Object:
    part: Object = {"type": "output_text", "text": words, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [part], **more}


def called(call_id: str, name: str = "weather", arguments: str = "{}") -> Object:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result(call_id: str, output: JSON) -> Object:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def chat_call(call_id: str, name: str = "weather", arguments: str = "{}") -> Object:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("path", ["/v1/responses", "/engines/v1/responses", "/engines/mac/v1/responses"])
def test_the_least_call(path: str) -> None:
    call = read(path)
    assert (call.operation, call.dialect, call.model) == (Operation.CHAT, Dialect.RESPONSES, "tiny")
    assert call.body == {"messages": [{"role": "user", "content": "hi"}]}
    assert call.ignored == ()


def test_sampling_goes_on_under_its_chat_names() -> None:
    call = read(temperature=0.5, top_p=0.9, max_output_tokens=7, user="u", stream=True, metadata={"a": "b"})
    assert (call.stream, call.max_tokens, call.include_usage) == (True, 7, False)
    assert {name: value for name, value in call.body.items() if name not in BODY} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "max_tokens": 7,
    }


def test_all_that_is_said_as_the_system_is_one_message_at_the_start() -> None:
    items: list[JSON] = [
        user(text("hi")),
        {"role": "developer", "content": "two"},
        {"role": "system", "content": [text("three")]},
    ]
    assert messages(*items, instructions="one") == [
        {"role": "system", "content": "one\n\ntwo\n\nthree"},
        {"role": "user", "content": "hi"},
    ]


def test_what_the_assistant_said_in_a_row_is_one_message() -> None:
    thought: Object = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert messages(
        user(text("hi")),
        thought,
        said("let me look", id="msg_1", status="completed"),
        called("a", arguments='{"city":"Bonn"}'),
        called("b"),
        result("a", "12"),
        result("b", [text("see"), {"type": "input_image", "image_url": PICTURE}]),
        said("rain"),
    ) == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "let me look",
            "reasoning_content": "hm",
            "tool_calls": [chat_call("a", arguments='{"city":"Bonn"}'), chat_call("b")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "12"},
        {"role": "tool", "tool_call_id": "b", "content": "see"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "assistant", "content": "rain"},
    ]


def test_a_call_alone_has_no_content_and_a_thought_is_the_text_itself_where_it_is_there() -> None:
    thought: Object = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
        "encrypted_content": "opaque",
    }
    assert messages(thought, called("a")) == [
        {"role": "assistant", "content": None, "reasoning_content": "long", "tool_calls": [chat_call("a")]}
    ]


def test_pictures_and_refusals() -> None:
    picture: Object = {"type": "input_image", "image_url": PICTURE, "detail": "low"}
    refusal: Object = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    assert messages(user(text("look"), picture), refusal) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": "no"},
    ]


def test_tools_that_are_no_functions_are_dropped_and_named() -> None:
    tools: list[JSON] = [WEATHER, {"type": "web_search"}, {"type": "namespace", "name": "n", "tools": []}]
    call = read(tools=tools, tool_choice="auto", parallel_tool_calls=False)
    assert call.body["tools"] == [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    assert (call.body["tool_choice"], call.body["parallel_tool_calls"]) == ("auto", False)
    assert call.ignored == ("tools[]",)
    only = read(tools=[{"type": "web_search"}], tool_choice="auto")
    assert not {"tools", "tool_choice"} & only.body.keys()
    assert only.ignored == ("tools[]", "tool_choice")


@pytest.mark.parametrize(
    ("choice", "said", "left"),
    [
        ("none", "none", ["weather", "time"]),
        ("required", "required", ["weather", "time"]),
        (
            {"type": "function", "name": "time"},
            {"type": "function", "function": {"name": "time"}},
            ["weather", "time"],
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "time"}, {"type": "web_search"}],
            },
            "required",
            ["time"],
        ),
    ],
)
def test_the_choice_of_a_tool(choice: JSON, said: JSON, left: list[str]) -> None:
    body = read(tools=[WEATHER, {"type": "function", "name": "time", "parameters": None}], tool_choice=choice).body
    assert body["tool_choice"] == said
    assert [as_object(as_object(tool)["function"])["name"] for tool in as_list(body["tools"])] == left


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": None}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}, {"logprobs": True}),
        ({"include": ["file_search_call.results"]}, {}),
    ],
)
def test_reasoning_format_and_what_is_included(given: Object, said: Object) -> None:
    body = read(**given).body
    assert {name: value for name, value in body.items() if name not in BODY} == said


def test_what_codex_sends_passes() -> None:
    call = read(
        input=[
            {"type": "message", "role": "developer", "id": "d", "content": [text("be quick")]},
            {"type": "message", "role": "user", "content": [text("hi")]},
        ],
        instructions="You are an agent.",
        tools=[WEATHER, {"type": "web_search", "external_web_access": False}, {"type": "namespace", "name": "x"}],
        tool_choice="auto",
        parallel_tool_calls=True,
        reasoning={"effort": "medium", "summary": "auto"},
        store=False,
        stream=True,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        client_metadata={"x": "y"},
        text={"verbosity": "low"},
    )
    assert as_list(call.body["messages"])[0] == {"role": "system", "content": "You are an agent.\n\nbe quick"}
    assert {"prompt_cache_key", "client_metadata", "tools[]", "text.verbosity"} <= set(call.ignored)
    assert call.asked["store"] is False


@pytest.mark.parametrize("kind", ["web_search_call", "custom_tool_call_output", "mcp_list_tools", "local_shell_call"])
def test_items_that_only_others_can_make_are_dropped_and_named(kind: str) -> None:
    call = read(input=[{"type": kind, "id": "x"}, {"role": "user", "content": "hi"}])
    assert call.body["messages"] == [{"role": "user", "content": "hi"}]
    assert call.ignored == ("input[]",)


@pytest.mark.parametrize(
    ("document", "param"),
    [
        (
            {"input": [user({"type": "input_image", "image_url": "http://169.254.169.254/"})]},
            "input[].content[].image_url",
        ),
        ({"input": [user({"type": "input_image", "file_id": "file_1"})]}, "input[].content[].file_id"),
        ({"input": [user({"type": "input_file", "file_data": "aGk="})]}, "input[].content[]"),
        (
            {"input": [{"role": "system", "content": [{"type": "input_image", "image_url": PICTURE}]}]},
            "input[].content",
        ),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[].role"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[]"),
        ({"input": [{**called("a"), "arguments": {}}]}, "input[].arguments"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
        ({"tools": [{"type": "function", "name": "f", "parameters": {"$ref": "http://a/"}}]}, "tools[].parameters"),
        ({"include": [7]}, "include[]"),
        ({"Store": True}, None),
    ],
)
def test_what_is_refused_is_named_in_the_dialects_own_words(document: Object, param: str | None) -> None:
    with refused(Reason.INVALID_PARAMETER, param):
        read(**document)


def test_background_false_is_what_happens_anyway() -> None:
    assert read(background=False).body == read().body


def test_without_anything_to_say_there_is_no_request() -> None:
    none: list[list[JSON]] = [[], [{"type": "web_search_call"}]]
    for items in none:
        with refused(Reason.MISSING_PARAMETER, "input"):
            read(input=items)
    assert read(input=[], instructions="Say hi.").body["messages"] == [{"role": "system", "content": "Say hi."}]


def test_counting_takes_what_makes_the_prompt() -> None:
    call = read("/v1/responses/input_tokens", instructions="be kind", temperature=0.5, tools=[WEATHER])
    assert call.counts
    assert set(call.body) == {"messages", "tools"}


def test_a_conversation_goes_on_without_the_instructions_of_its_beginning() -> None:
    call = read(previous_response_id="resp_1", instructions="new", input="two", tools=[WEATHER], stream=True)
    whole = continued(call, [user(text("one")), said("first")], [])
    assert whole.body["messages"] == [
        {"role": "system", "content": "new"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "two"},
    ]
    assert whole.body["tools"] == call.body["tools"]
    assert not {"model", "stream"} & whole.body.keys()
    assert whole.asked["input"] == [{"type": "message", "role": "user", "content": "two"}]


def test_a_result_answers_the_call_of_an_earlier_response() -> None:
    call = read(previous_response_id="resp_1", input=[result("a", "12")])
    whole = continued(call, [user(text("one")), called("a")], [])
    assert [as_object(turn)["role"] for turn in as_list(whole.body["messages"])] == ["user", "assistant", "tool"]


def test_references_become_the_items_they_name_and_those_that_lead_nowhere_are_refused() -> None:
    identity = "msg_" + "a" * 32 + "_0"
    reference: Object = {"type": "item_reference", "id": identity}
    call = read(input=[reference, user(text("two"))])
    whole = continued(call, [], [said("first", id=identity)])
    assert as_list(whole.body["messages"])[0] == {"role": "assistant", "content": "first"}
    with refused(Reason.PREVIOUS_RESPONSE_NOT_FOUND, "input[].id"):
        continued(call, [], [])
    with refused(Reason.PREVIOUS_RESPONSE_NOT_FOUND, "input[].id"):
        read(input=[{"type": "item_reference", "id": "somebody's"}])


def test_an_item_is_referred_to_once() -> None:
    """A text of 4 MiB, named ten thousand times, would be 40 GiB of a request of 700 KB."""
    twice: list[JSON] = [{"type": "item_reference", "id": f"msg_{'a' * 32}_0"}] * 2
    with refused(Reason.INVALID_PARAMETER, "input[].id"):
        read(input=twice)


def test_the_bounds_of_a_request_hold_for_the_whole_conversation() -> None:
    picture: Object = {"type": "input_image", "image_url": PICTURE}
    pictures = user(*[picture] * 20)
    call = read(previous_response_id="resp_1", input=[pictures])
    with refused(Reason.INVALID_PARAMETER, "input[].content[].image_url"):
        continued(call, [pictures], [])


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
PARTS = st.lists(
    st.one_of(WORDS.map(text), st.just({"type": "input_image", "image_url": PICTURE})), min_size=1, max_size=3
)
ITEMS = st.one_of(
    st.builds(lambda parts: user(*parts), PARTS),
    st.builds(lambda words: {"role": "user", "content": words}, WORDS),
    WORDS.map(said),
    st.builds(lambda words: called("c", arguments=words), WORDS),
    st.builds(lambda words: result("c", words), WORDS),
)


@given(st.lists(ITEMS, min_size=1, max_size=8))
def test_every_word_picture_and_call_arrives_in_order(items: list[JSON]) -> None:
    # What an assistant says behind its calls stands before them in a chat message: letters are counted, not placed.
    assert sorted("".join(map(_chat, messages(*items)))) == sorted("".join(map(_item, items)) + _joints(items))
    spoken = [item for item in items if _kind(item) in {"user", "function_call_output"}]
    heard = [turn for turn in messages(*items) if as_object(turn)["role"] in {"user", "tool"}]
    assert "".join(map(_chat, heard)) == "".join(map(_item, spoken))


def _kind(item: JSON) -> str:
    return as_str(as_object(item).get("role")) or as_str(as_object(item).get("type"))


def _joints(items: list[JSON]) -> str:
    """The line ends between two texts of one assistant's message."""
    joints, texts = "", 0
    for item in items:
        if _kind(item) == "assistant":
            joints += "\n" if texts else ""
            texts += 1
        elif _kind(item) != "function_call":
            texts = 0
    return joints


def _item(item: JSON) -> str:
    document = as_object(item)
    content = document.get("content", document.get("output", document.get("arguments")))
    return content if isinstance(content, str) else "".join(map(_part, as_list(content)))


def _chat(turn: JSON) -> str:
    document = as_object(turn)
    content = document["content"]
    calls = [as_object(as_object(call)["function"])["arguments"] for call in as_list(document.get("tool_calls"))]
    told = content if isinstance(content, str) else "".join(map(_part, as_list(content)))
    return told + "".join(map(as_str, calls))


def _part(part: JSON) -> str:
    return as_str(as_object(part).get("text")) or "<picture>"
