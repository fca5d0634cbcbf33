"""The line for people says what the JSON line says, and a terminal obeys nothing in either but our own colours."""

from __future__ import annotations

import re
from datetime import UTC

import orjson
from hypothesis import given
from hypothesis import strategies as st

from observability.human import human_line
from observability.lines import json_line
from policies.json import JSON, Object

SERVED: Object = {
    "event": "access",
    "at": 1_795_000_000.0,
    "status": 200,
    "caller": "ann",
    "model": "qwen3",
    "ms": {"first_byte": 85.4, "total": 1234.5},
    "tokens_in": 12,
    "tokens_out": 345,
}
OURS = re.compile("\x1b\\[(?:31|32|33|2|0)m")
TEXT = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\r\n\x7f\u2028\u202e\x00"), max_size=40)


def values() -> st.SearchStrategy[JSON]:
    plain: st.SearchStrategy[JSON] = TEXT | st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats()
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


FIELDS = st.sampled_from(
    ["at", "status", "caller", "model", "requested_model", "method", "route", "ms", "tokens_in", "tokens_out", "reason",
     "detail", "level", "message", "error", "frames", "lines"]
)  # fmt: skip
LINES = st.builds(
    lambda event, fields: {"event": event, **fields},
    st.sampled_from(["access", "log", "dropped"]) | TEXT,
    st.dictionaries(FIELDS, values(), max_size=12),
)


def test_a_request_is_one_line() -> None:
    assert human_line(SERVED, colour=False, zone=UTC).split() == [
        *("11:06:40", "200", "ann", "qwen3", "12→345", "tok", "85", "ms", "1.2", "s"),
    ]


def test_a_refusal_says_why_and_where() -> None:
    line: Object = {"event": "access", "at": 0, "status": 403, "method": "GET", "route": "/v1/x", "ms": {"total": 1}}
    text = human_line({**line, "reason": "model_not_permitted", "detail": "policy: no_grant"}, colour=True, zone=UTC)
    assert "\x1b[33m403\x1b[0m" in text
    assert "GET /v1/x" in text
    assert "\x1b[33mmodel_not_permitted policy: no_grant\x1b[0m" in text


def test_the_process_says_how_bad_it_is_and_where_it_failed() -> None:
    line: Object = {"event": "log", "at": 0, "level": "error", "message": "it failed", "error": "ValueError"}
    text = human_line({**line, "frames": ["a.py:1 f", "b.py:2 g"]}, colour=False, zone=UTC)
    assert text == "00:00:00 error   it failed (ValueError at b.py:2 g)"


@given(LINES, st.booleans())
def test_nothing_in_a_line_for_people_is_obeyed(line: Object, colour: bool) -> None:
    text = human_line(line, colour=colour, zone=UTC)
    plain = OURS.sub("", text) if colour else text
    assert plain.isprintable()
    assert len(plain) < 4000


@given(LINES)
def test_nothing_in_a_json_line_is_obeyed_and_all_of_it_is_read_back(line: Object) -> None:
    try:
        text = json_line(line)
    except TypeError:
        return  # half a surrogate pair: LineWriter counts it as dropped
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)
    assert orjson.loads(text) == orjson.loads(orjson.dumps(line))
