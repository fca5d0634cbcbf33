"""The bytes of an answer's head, and headers that would break out of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.listener.head import CHUNKED, answer_head, length


def test_an_answer_head() -> None:
    head = answer_head(200, {"content-type": "text/plain"}, length(5), close=True).decode()
    date = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
    own = rf"server: llm-gateway\r\ndate: {date}\r\n"
    lines = rf"{own}content-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n"
    assert re.fullmatch(rf"HTTP/1\.1 200 OK\r\n{lines}\r\n", head)


def test_the_listener_owns_framing_and_its_name() -> None:
    own = {
        "content-length": "9",
        "transfer-encoding": "x",
        "connection": "keep-alive",
        "server": "Python",
        "date": "now",
    }
    head = answer_head(404, own, CHUNKED, close=False)
    assert head.count(b"\r\n") == 5
    assert b"Python" not in head


def test_an_unknown_status_has_no_phrase() -> None:
    assert answer_head(499, {}, "", close=False).startswith(b"HTTP/1.1 499 \r\n")


@pytest.mark.parametrize(
    "headers", [{"a": "b\r\nset-cookie: c"}, {"a\r\nb": "c"}, {"a": "b\n"}, {"a": "\r"}, {"a": "\0"}, {"a": "é"}]
)
def test_no_value_breaks_out_of_its_line(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        answer_head(200, headers, "", close=False)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=4))
def test_any_headers_give_as_many_lines_or_an_error(headers: dict[str, str]) -> None:
    try:
        head = answer_head(200, headers, "", close=False)
    except ValueError:
        return
    assert head.count(b"\r\n") - 4 <= len(headers)
    assert head.endswith(b"\r\n\r\n")
