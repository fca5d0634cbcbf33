"""A Messages request becomes a chat body."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.intake import read_call
from edge.intake.routes import Routes
from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.reasons import Reason
from tests.edge.dialects.arguments import TOO_MUCH, WRITTEN
from tests.edge.intake.refusals import refused

HI: Object = {"role": "user", "content": "hi"}


def read(path: str = "/v1/messages", /, **more: JSON) -> Call:
    route = Routes().match("POST", path)
    assert route is not None
    return read_call(route, {"model": "tiny", "max_tokens": 9, "messages": [HI], **more})


def messages(*turns: JSON, **more: JSON) -> JSON:
    return read(messages=list(turns), **more).body["messages"]


def user(*blocks: JSON) -> Object:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: JSON) -> Object:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> Object:
    return {"type": "text", "text": words}


def picture(data: str = "aGk=") -> Object:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


SEEN: Object = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages"])
def test_the_least_call(path: str) -> None:
    assert read(path) == Call(
        Operation.CHAT, Dialect.ANTHROPIC, model="tiny", max_tokens=9, body={"max_tokens": 9, "messages": [HI]}
    )


def test_sampling_goes_on_under_its_chat_names() -> None:
    call = read(temperature=0.5, top_p=0.9, top_k=7, stop_sequences=["END"], metadata={"user_id": "u1"}, stream=True)
    assert call.stream
    assert call.body == {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "messages": [HI],
        "stop": ["END"],
        "user": "u1",
    }


def test_all_that_is_said_as_the_system_is_one_message_at_the_start() -> None:
    system: list[JSON] = [text("x-anthropic-billing-header: cc_version=1; cch=0815"), text("one"), text("two")]
    late: Object = {"role": "system", "content": "three"}
    assert messages(HI, late, system=system) == [{"role": "system", "content": "one\n\ntwo\n\nthree"}, HI]
    assert messages(HI, system="be kind") == [{"role": "system", "content": "be kind"}, HI]
    assert messages(HI, system=[]) == [HI]


def test_results_of_tools_come_before_what_the_user_says_beside_them() -> None:
    failed: Object = {"type": "tool_result", "tool_use_id": "b", "content": [text("no"), picture()], "is_error": True}
    done: Object = {"type": "tool_result", "tool_use_id": "a", "content": "12"}
    assert messages(user(text("look"), done, failed)) == [
        {"role": "tool", "tool_call_id": "a", "content": "12"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no"},
        {"role": "user", "content": [text("look"), SEEN]},
    ]
    assert messages(user({"type": "tool_result", "tool_use_id": "a"})) == [
        {"role": "tool", "tool_call_id": "a", "content": ""}
    ]


def test_an_assistants_turn_keeps_thoughts_text_and_calls() -> None:
    call: Object = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Köln"}}
    thought: Object = {"type": "thinking", "thinking": "hm", "signature": "x"}
    (turn,) = [*list_of(messages(assistant(thought, text("a"), text("b"), call)))]
    assert turn == {
        "role": "assistant",
        "content": "ab",
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
        ],
    }
    assert messages(assistant(call)) == [{**turn_of(call), "content": None}]
    assert messages({"role": "assistant", "content": []}) == [{"role": "assistant", "content": ""}]


def used(given: JSON) -> Object:
    return assistant({"type": "tool_use", "id": "t1", "name": "write", "input": given})


@pytest.mark.parametrize("given", WRITTEN.values(), ids=WRITTEN)
def test_what_a_tool_was_called_with_goes_back_as_it_was(given: Object) -> None:
    (turn,) = list_of(messages(used(given)))
    (call,) = as_list(as_object(turn)["tool_calls"])
    assert json.loads(as_str(as_object(as_object(call)["function"])["arguments"])) == given


@pytest.mark.parametrize("given", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_no_tool_was_called_with_is_refused(given: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "messages[].content[].input"):
        messages(used(given))


def turn_of(call: Object) -> Object:
    function: Object = {
        "name": call["name"],
        "arguments": json.dumps(call["input"], ensure_ascii=False, separators=(",", ":")),
    }
    return {"role": "assistant", "tool_calls": [{"id": call["id"], "type": "function", "function": function}]}


def list_of(value: JSON) -> list[JSON]:
    assert isinstance(value, list)
    return value


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"type": "text", "media_type": "text/plain", "data": "body"}, "A title\nwhat for\nbody"),
        ({"type": "content", "content": "body"}, "A title\nwhat for\nbody"),
        (
            {"type": "content", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
            "A title\nwhat for\nb\nc",
        ),
    ],
)
def test_documents_are_text(source: Object, said: str) -> None:
    document: Object = {"type": "document", "source": source, "title": "A title", "context": "what for"}
    assert messages(user(document)) == [{"role": "user", "content": said}]


def test_a_result_of_a_search_is_text() -> None:
    found: Object = {"type": "search_result", "source": "https://a", "title": "A", "content": [text("b")]}
    assert messages(user(found)) == [{"role": "user", "content": "A\nhttps://a\nb"}]


def test_tools_are_functions_and_those_of_anthropics_servers_are_dropped_and_named() -> None:
    schema: Object = {"type": "object", "properties": {"city": {"type": "string"}}}
    ours: Object = {
        "name": "weather",
        "description": "now",
        "input_schema": schema,
        "cache_control": {"type": "ephemeral"},
    }
    call = read(tools=[ours, {"type": "web_search_20250305", "name": "web_search"}])
    assert call.body["tools"] == [
        {"type": "function", "function": {"name": "weather", "parameters": schema, "description": "now"}}
    ]
    assert call.ignored == ("tools[].cache_control", "tools[]")


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": False},
        ),
    ],
)
def test_the_choice_of_a_tool(choice: Object, said: Object) -> None:
    tool: Object = {"name": "weather", "input_schema": {"type": "object"}}
    body = read(tools=[tool], tool_choice=choice).body
    assert {name: body[name] for name in ("tool_choice", "parallel_tool_calls") if name in body} == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"chat_template_kwargs": {"enable_thinking": True}}),
        ({"thinking": {"type": "disabled"}}, {"chat_template_kwargs": {"enable_thinking": False}}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}},
                }
            },
        ),
    ],
)
def test_thinking_effort_and_format(given: Object, said: Object) -> None:
    body = read(**given).body
    assert {name: value for name, value in body.items() if name not in {"max_tokens", "messages"}} == said


@pytest.mark.parametrize(
    ("document", "param"),
    [
        (
            {"messages": [user({"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}})]},
            "messages[].content[].source",
        ),
        (
            {
                "messages": [
                    user(
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                        }
                    )
                ]
            },
            "messages[].content[].source",
        ),
        ({"messages": [user({"type": "video"})]}, "messages[].content[]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[].role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": [{"name": "f", "input_schema": {"$ref": "http://internal/"}}]}, "tools[].input_schema"),
    ],
)
def test_what_is_refused_is_named_in_the_dialects_own_words(document: Object, param: str) -> None:
    with refused(Reason.INVALID_PARAMETER, param):
        read(**document)


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user", "content": []},
        {"role": "user", "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "user", "content": [{"type": "redacted_thinking", "data": "x"}]},
        {"role": "system", "content": [text("x-anthropic-billing-header: 1")]},
    ],
)
def test_without_anything_that_is_said_there_is_no_request(turn: Object) -> None:
    """An engine that closes the connection for it would be a 502 of the caller's making."""
    with refused(Reason.MISSING_PARAMETER, "messages"):
        read(messages=[turn])


def test_a_limit_is_required_but_for_counting() -> None:
    route = Routes().match("POST", "/v1/messages")
    assert route is not None
    with refused(Reason.MISSING_PARAMETER, "max_tokens"):
        read_call(route, {"model": "tiny", "messages": [HI]})
    counting = Routes().match("POST", "/v1/messages/count_tokens")
    assert counting is not None
    call = read_call(counting, {"model": "tiny", "messages": [HI], "system": "be kind"})
    assert call.counts
    assert call.body == {"messages": [{"role": "system", "content": "be kind"}, HI]}


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
BLOCKS = st.lists(st.one_of(WORDS.map(text), st.just(picture())), max_size=4)
TURNS = st.lists(
    st.one_of(
        st.builds(lambda blocks: user(*blocks), BLOCKS),
        st.builds(lambda words: assistant(text(words)), WORDS),
        st.builds(lambda words: {"role": "user", "content": words}, WORDS),
    ),
    min_size=1,
    max_size=5,
)


@given(TURNS, WORDS)
def test_every_word_and_picture_arrives_in_order(turns: list[JSON], system: str) -> None:
    body = read(messages=[*turns, HI], system=system).body
    said = [*list_of(body["messages"])]
    assert "".join(map(plain, said)) == system + "".join(map(plain, [*turns, HI]))


def plain(turn: JSON) -> str:
    """Text, with a mark for each picture."""
    assert isinstance(turn, dict)
    content = turn["content"]
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [part for part in content if isinstance(part, dict)]
    return "".join(str(part["text"]) if part["type"] == "text" else "<picture>" for part in parts)
