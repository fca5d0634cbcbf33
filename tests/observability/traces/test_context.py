"""W3C Trace Context is read strictly, and what is written is read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.traces.context import read_context, read_state, write_traceparent
from policies.trace import SpanContext

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
HEX = "0123456789abcdef"

trace_ids = st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
span_ids = st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0"))


@given(trace_ids, span_ids, st.integers(0, 3))
def test_what_is_written_is_read_back(trace_id: str, span_id: str, flags: int) -> None:
    assert read_context(write_traceparent(trace_id, span_id, flags)) == SpanContext(trace_id, span_id, flags)


@given(st.text(max_size=80) | st.text(HEX + "-", max_size=60))
def test_any_text_is_a_context_or_nothing(text: str) -> None:
    """The invariant: no text raises, and what is accepted has the only form that may be sent on."""
    found = read_context(text, text)
    if found is not None:
        assert read_context(write_traceparent(found.trace_id, found.span_id, found.flags)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",  # version 00 has exactly 55 characters
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0A",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",  # sent twice
        f"0-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01x",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 600,
        f"00-{TRACE[:-1]}\u0661-{SPAN}-01",  # a digit, but not an ASCII one
    ],
)
def test_refuses_what_is_not_valid(text: str) -> None:
    assert read_context(text) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_context(f"cc-{TRACE}-{SPAN}-ff-what-comes-then") == SpanContext(TRACE, SPAN, 1)
    assert read_context(f"cc-{TRACE}-{SPAN}-fe") == SpanContext(TRACE, SPAN, 0)


def test_unknown_flags_are_dropped() -> None:
    assert read_context(f"00-{TRACE}-{SPAN}-ff") == SpanContext(TRACE, SPAN, 3)


def test_tracestate_goes_with_a_valid_parent_only() -> None:
    assert read_context(f"00-{TRACE}-{SPAN}-01", "a=1,b=2") == SpanContext(TRACE, SPAN, 1, "a=1,b=2")
    assert read_context("", "a=1") is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("a=1 ,\tb=2,,", "a=1,b=2"),
        ("tenant@system=x y", "tenant@system=x y"),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
    ],
)
def test_reads_tracestate(text: str, read: str) -> None:
    assert read_state(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "a=1,a=2",
        "A=1",
        "a",
        "a=",
        "a=b=c",
        "a=\x7f",
        "a=1\r\nx-evil: 1",
        ",".join(f"k{n}=v" for n in range(33)),
        "a=" + "x" * 600,
    ],
)
def test_drops_a_tracestate_that_is_not_valid(text: str) -> None:
    assert read_state(text) == ""


@given(st.text(max_size=200))
def test_what_is_sent_on_as_tracestate_can_stand_in_a_header(text: str) -> None:
    kept = read_state(text)
    assert kept == "" or (kept.isascii() and kept.isprintable() and len(kept) <= 512)
    assert read_state(kept) == kept
