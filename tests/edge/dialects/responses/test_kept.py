"""What is kept of a request comes back as the SDK's types want it, page by page, and can be sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dialects.responses.answer import ResponsesRendering
from edge.dialects.responses.kept import kept_items, page, parameters
from edge.dialects.responses.names import is_response_id, item_id, response_of
from edge.intake.intake import continued, read_call
from edge.intake.routes import Routes
from policies.call import Call
from policies.json import JSON, Object, as_list, as_object
from policies.reasons import Reason
from tests.edge.intake.refusals import refused

ID = "b" * 32
PICTURE = "data:image/png;base64,aGk="
ITEMS: list[JSON] = [
    {"role": "user", "content": "one"},
    {"role": "user", "id": "mine", "content": [{"type": "input_image", "image_url": PICTURE}]},
    {"role": "assistant", "content": "two"},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "3"},
]


def read(items: JSON, **more: JSON) -> Call:
    route = Routes().match("POST", "/v1/responses")
    assert route is not None
    return read_call(route, {"model": "tiny", "input": items, **more})


def test_items_are_kept_with_ids_and_all_that_their_types_want() -> None:
    assert kept_items(read(ITEMS).asked, ID) == [
        {
            "id": f"msg_{ID}_i0",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "one"}],
        },
        {
            "id": f"msg_{ID}_i1",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_image", "image_url": PICTURE, "detail": "auto"}],
        },
        {
            "id": f"msg_{ID}_i2",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "two", "annotations": []}],
        },
        {
            "id": f"rs_{ID}_i3",
            "type": "reasoning",
            "status": "completed",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}],
        },
        {
            "id": f"fc_{ID}_i4",
            "type": "function_call",
            "status": "completed",
            "call_id": "c",
            "name": "f",
            "arguments": "{}",
        },
        {"id": f"fco_{ID}_i5", "type": "function_call_output", "status": "completed", "call_id": "c", "output": "3"},
    ]
    assert kept_items(read("one").asked, ID) == kept_items(read(ITEMS[:1]).asked, ID)


def test_what_was_kept_makes_the_same_conversation() -> None:
    kept = [as_object(item) for item in kept_items(read(ITEMS).asked, ID)]
    again = as_list(continued(read("more", previous_response_id="x"), kept, []).body["messages"])
    first = as_list(read(ITEMS).body["messages"])
    picture: Object = {"type": "image_url", "image_url": {"url": PICTURE, "detail": "auto"}}
    shown: Object = {"role": "user", "content": [picture]}
    assert again[:-1] == [first[0], shown, *first[2:]]


@given(st.integers(0, 40), st.integers(1, 100), st.sampled_from(["asc", "desc"]))
def test_pages_one_after_the_other_are_all_items_once(count: int, limit: int, order: str) -> None:
    items: list[JSON] = [{"id": f"msg_{number}"} for number in range(count)]
    found: list[JSON] = []
    after, more = "", True
    while more:
        shown = page(items, f"limit={limit}&order={order}{after}&include[]=x")
        found += as_list(shown["data"])
        after, more = f"&after={shown['last_id']}", shown["has_more"] is True
        assert len(as_list(shown["data"])) <= limit
    assert found == (items if order == "asc" else items[::-1])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=-1", "limit=1e1", "limit=9999", "limit=", "order=", "after=x"]
)
def test_a_page_that_cannot_be_is_refused_by_its_parameter(query: str) -> None:
    with refused(Reason.INVALID_PARAMETER, query.partition("=")[0]):
        page([{"id": "msg_1"}], query)


def test_a_query_that_is_none_is_refused() -> None:
    for query in ("a=%ff", "&".join("a=b" for _ in range(100))):
        with refused(Reason.INVALID_PARAMETER, None):
            parameters(query)


def test_an_items_id_says_which_response_it_belongs_to() -> None:
    for identity in (item_id("message", ID, 7), item_id("function_call_output", ID, 0, given=True)):
        assert response_of({"id": identity}) == f"resp_{ID}"
    for nonsense in ("", "msg_1", f"msg_{ID}", f"msg_{ID}_0\n", f"MSG_{ID}_0", f"msg_{ID.upper()}_0", "x" * 300):
        assert response_of({"id": nonsense}) == ""
    assert is_response_id(f"resp_{ID}")
    assert not any(map(is_response_id, [f"resp_{ID}0", f"resp_{ID}\n", "resp_", ID]))


@pytest.mark.parametrize("name", ["functions.f:0", "look up", "f(x)"])
def test_a_call_of_what_is_not_there_is_gone_on_from(name: str) -> None:
    """The response was kept, and whoever went on from it was told that the name was wrong, for ever."""
    call: Object = {"name": name, "arguments": "{}"}
    message: Object = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": call}]}
    made = ResponsesRendering({}, "tiny", ID, lambda: 0.0).whole({"choices": [{"index": 0, "message": message}]})
    history = [as_object(item) for item in as_list(made["output"])]
    whole = continued(read("more", previous_response_id=f"resp_{ID}"), history, [])
    assert as_object(as_list(whole.body["messages"])[0])["tool_calls"] == message["tool_calls"]
