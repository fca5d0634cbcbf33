"""What others wrote cannot steer a terminal, nor fill a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.text import one_line


@given(st.text(), st.integers(0, 50))
def test_one_line_is_printable_and_bounded(text: str, most: int) -> None:
    shown = one_line(text, most)
    assert shown.isprintable()
    assert len(shown) <= most
    assert shown == shown.strip()


def test_what_is_printable_stays() -> None:
    assert one_line("ask IT: über-model 7b", 100) == "ask IT: über-model 7b"
    assert one_line("\x1b[31mred\u202e\r\n", 100) == "[31mred"
