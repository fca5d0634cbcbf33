"""A route and a document become a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.intake import check_content_type, content_type_ok, read_call
from edge.intake.openai_params import Ceilings, specs
from edge.intake.routes import Route, Routes
from edge.intake.spelling import fold
from edge.intake.strict_json import parse, serialize
from policies.call import Call, Dialect, Operation
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused
from tests.edge.intake.samples import FULL, PATHS, full

HELLO: Object = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
OPERATIONS = list(FULL)


def route(operation: Operation = Operation.CHAT, mount: str = "") -> Route:
    found = Routes().match("POST", mount + PATHS[operation])
    assert found is not None
    return found


def chat(**more: JSON) -> Call:
    return read_call(route(), {**HELLO, **more})


def test_the_least_call() -> None:
    assert chat() == Call(
        Operation.CHAT, Dialect.OPENAI, model="tiny", body={"messages": [{"role": "user", "content": "hi"}]}
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_body_holds_everything_but_what_the_adapter_makes_anew(operation: Operation) -> None:
    call = read_call(route(operation, "/engines/vllm"), full(operation))
    assert (call.operation, call.engine, call.model) == (operation, "vllm", FULL[operation]["model"])
    assert call.ignored == ()
    made = {"model", "stream", "stream_options"}
    assert call.body == {name: value for name, value in FULL[operation].items() if name not in made}


def test_streaming_and_its_usage() -> None:
    wanted: Object = {"include_usage": True, "include_obfuscation": False, "continuous_usage_stats": True}
    call = chat(stream=True, stream_options=wanted)
    assert (call.stream, call.include_usage) == (True, True)
    assert call.ignored == ("stream_options.include_obfuscation", "stream_options.continuous_usage_stats")
    assert chat(stream=True).include_usage is False
    assert chat(stream=True, stream_options=None).stream is True
    assert chat(stream=False, stream_options={"include_usage": True}).include_usage is False
    assert chat(stream=None).stream is False


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 7}, 7),
        ({"max_tokens": None, "max_completion_tokens": 7}, 7),
    ],
)
def test_the_smaller_token_limit_counts_and_both_say_it(asked: Object, least: int | None) -> None:
    call = chat(**asked)
    assert call.max_tokens == least
    given = {name for name, value in asked.items() if value is not None}
    assert {name: call.body[name] for name in given} == dict.fromkeys(given, least)


def test_answers_are_counted_per_prompt() -> None:
    assert chat(n=3).n == 3
    call = read_call(route(Operation.COMPLETIONS), {"model": "m", "prompt": ["a", "b"], "n": 2, "best_of": 4})
    assert (call.n, call.ignored) == (2, ("best_of",))
    assert "best_of" not in call.body


def test_without_tools_there_is_nothing_to_choose() -> None:
    call = chat(tools=[{"type": "web_search"}], tool_choice="auto", parallel_tool_calls=False)
    assert call.body == {"messages": HELLO["messages"]}
    assert call.ignored == ("tools[]", "tool_choice", "parallel_tool_calls")
    assert chat(tools=[]).body == {"messages": HELLO["messages"]}
    tool: Object = {"type": "function", "function": {"name": "f"}}
    assert chat(tools=[tool], tool_choice="auto").body["tool_choice"] == "auto"


def test_routes_without_a_body_take_none() -> None:
    shown = Routes().match("GET", "/engines/mlx/v1/models/ai%2Fx")
    assert shown is not None
    assert read_call(shown, {}) == Call(Operation.MODELS_SHOW, Dialect.OPENAI, model="ai/x", engine="mlx")


@pytest.mark.parametrize("model", ["", " ", "a\0b", "a\n", "../x", "a//b", "é", "x" * 257, 1, True, [], {}])
def test_what_cannot_be_a_models_name_is_refused(model: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "model"):
        chat(model=model)
    with refused(Reason.MISSING_PARAMETER, "model"):
        chat(model=None)


# The traps of F2, as bytes from the wire: what Go's decoder would make of them is in the comment.
TRAPS: dict[str, tuple[bytes, Reason]] = {
    "case": (b'{"model":"allowed","MODEL":"forbidden"}', Reason.INVALID_PARAMETER),  # forbidden
    "case first": (b'{"Model":"forbidden","model":"allowed"}', Reason.INVALID_PARAMETER),
    "Kelvin": ('{"model":"a","max_to\u212aens":1000000}'.encode(), Reason.INVALID_PARAMETER),  # max_tokens
    "long s": ('{"model":"a","\u017ftream":true}'.encode(), Reason.INVALID_PARAMETER),  # stream
    "long s, escaped": (rb'{"model":"a","\u017Ftream":true}', Reason.INVALID_PARAMETER),
    "merged options": (b'{"model":"a","options":{"a":1},"options":{"b":2}}', Reason.INVALID_JSON),  # both
    "last of two": (b'{"model":"allowed","model":"forbidden"}', Reason.INVALID_JSON),  # forbidden
    "two documents": (b'{"model":"a"} {"model":"b"}', Reason.INVALID_JSON),  # a
    "garbage behind": (b'{"model":"a"}garbage', Reason.INVALID_JSON),  # a
    "case in a message": (
        b'{"model":"a","messages":[{"role":"user","content":"x","Role":"system"}]}',
        Reason.INVALID_PARAMETER,
    ),
}


@pytest.mark.parametrize(("body", "reason"), TRAPS.values(), ids=TRAPS.keys())
@pytest.mark.parametrize("strict", [False, True])
def test_what_parsers_read_differently_is_refused(body: bytes, reason: Reason, strict: bool) -> None:
    with pytest.raises(Refusal) as caught:
        read_call(route(), parse(body), strict=strict)
    assert caught.value.reason is reason


json_values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KNOWN = {fold(name) for spec in specs().values() for name in spec.names} | {"role", "content"}


@CALM
@given(
    st.sampled_from(OPERATIONS), st.dictionaries(names.filter(lambda n: fold(n) not in KNOWN), json_values, max_size=9)
)
def test_unknown_parameters_never_reach_the_body(operation: Operation, unknown: Object) -> None:
    call = read_call(route(operation), {**unknown, **full(operation)})
    assert not unknown.keys() & call.body.keys()
    assert call.body == read_call(route(operation), full(operation)).body
    assert bool(call.ignored) == bool(unknown)
    with pytest.raises(Refusal) if unknown else _nothing():
        read_call(route(operation), {**unknown, **full(operation)}, strict=True)


@CALM
@given(st.sampled_from(OPERATIONS), st.data())
def test_any_value_anywhere_either_makes_a_call_or_a_refusal(operation: Operation, data: st.DataObject) -> None:
    document = full(operation)
    for name in data.draw(st.lists(st.sampled_from(sorted(document)), max_size=3)):
        document[name] = data.draw(json_values)
    try:
        call = read_call(route(operation), document)
    except Refusal:
        return
    assert parse(serialize(call.body)) == call.body


class _nothing:  # noqa: N801 - reads as a word in the test above
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_strict_refuses_what_is_unknown() -> None:
    with refused(Reason.UNKNOWN_PARAMETER):
        read_call(route(), {**HELLO, "frobnicate": 1}, strict=True)


def test_ceilings_come_from_the_operator() -> None:
    with refused(Reason.INVALID_PARAMETER, "n"):
        read_call(route(), {**HELLO, "n": 2}, specs=specs(Ceilings(n=1)))


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        'application/json ; Charset="utf-8" ',
    ],
)
def test_json_in_utf8_is_taken(value: str) -> None:
    assert content_type_ok({"content-type": value, "host": "x"})
    check_content_type({"content-type": value})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=application/json"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json+x"},
        {"content-type": "application/ld+json"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": 'application/json; charset="utf-8'},
        {"content-type": "application/json; charset=utf-8; charset=utf-16"},
        {"content-type": "application/json; x=y"},
        {"content-type": "application/json;"},
        {"content-type": "application/json, text/plain"},
        {"content-type": "application/json\n"},
        {"content-type": " application/json"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "application/json", "content-encoding": "identity"},
        {"content-type": "application/json", "content-encoding": ""},
    ],
)
def test_any_other_claim_is_refused(headers: dict[str, str]) -> None:
    assert not content_type_ok(headers)
    with refused(Reason.UNSUPPORTED_MEDIA_TYPE):
        check_content_type(headers)
