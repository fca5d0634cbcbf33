"""However large a document is, little of it is copied, and no half of a secret stands at a cut."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from observability.captures.excerpt import CUT, MARGIN, Room, excerpt, redacted
from policies.json import JSON

KEY = "KEY" * 20


def plain(text: str) -> str:
    return text.replace(KEY, "#")


def kept(value: JSON, size: int, *, whole: bool = True) -> tuple[JSON, bool]:
    room = Room(size)
    return redacted(excerpt(value, room, whole=whole), plain), room.cut


def documents() -> st.SearchStrategy[JSON]:
    plain: st.SearchStrategy[JSON] = st.text(max_size=30) | st.none() | st.booleans() | st.integers(0, 9)
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )


def test_what_fits_is_kept_as_it_is() -> None:
    value: JSON = {"messages": [{"role": "user", "content": "Grüße\n\t…", "n": 1.5, "x": None, "y": True}]}
    assert kept(value, 1000) == (value, False)


def test_the_copy_does_not_change_with_the_document() -> None:
    value: dict[str, JSON] = {"a": ["b"]}
    copy = excerpt(value, Room(100))
    value["a"] = []
    assert redacted(copy, plain) == {"a": ["b"]}


def test_a_text_that_is_too_long_says_so() -> None:
    text, cut = kept("x" * 5000, 1000)
    assert cut
    assert text == "x" * 996 + CUT


def test_no_half_of_a_secret_is_left_wherever_the_cut_falls() -> None:
    for before in range(900, 1100):
        for tail in ("", "y" * 5000):
            text, _ = kept("x" * before + KEY + tail, 1000)
            assert "KEY" not in str(text)


def test_nor_where_the_text_broke_off_elsewhere() -> None:
    text, _ = kept("x" * 3000 + KEY[:40], 64_000, whole=False)
    assert isinstance(text, str)
    assert "KEY" not in text
    assert len(text) == 3040 - MARGIN + len(CUT)


def test_controls_and_half_pairs_are_replaced_and_cost_no_more_than_other_text() -> None:
    text, _ = kept("\x00\x1b\ud800" * 10_000, 3000)
    assert len(orjson.dumps(text)) < 3100


@given(documents(), st.integers(0, 200))
def test_a_copy_is_bounded_whatever_it_is_of(value: JSON, size: int) -> None:
    copy, cut = kept(value, size)
    assert len(orjson.dumps(copy)) <= 4 * size + 200
    assert cut or len(orjson.dumps(copy)) >= len(orjson.dumps(value)) - 200
