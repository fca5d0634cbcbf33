"""Generated tokens against what is held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.relay.meter import CHECKPOINT, STEP, Meter, tokens_of


class Store:
    """Has `left` further tokens to give, and remembers the checkpoints."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.asked: list[int] = []
        self.marks: list[tuple[int, int]] = []
        self.now = 0.0

    async def more(self, tokens: int) -> int:
        self.asked.append(tokens)
        given = min(tokens, self.left)
        self.left -= given
        return given

    def meter(self, granted: int | None) -> Meter:
        return Meter(granted, self.more, lambda given, used: self.marks.append((given, used)), lambda: self.now)


async def test_what_is_held_passes_and_then_more_is_held() -> None:
    store = Store(left=100)
    meter = store.meter(2)
    assert [await meter.admit(1) for _ in range(3)] == [True] * 3
    assert store.asked == [STEP]
    assert (meter.used, meter.granted) == (3, 2 + STEP)


async def test_at_zero_nothing_passes_and_nothing_is_counted() -> None:
    store = Store(left=1)
    meter = store.meter(1)
    assert [await meter.admit(1) for _ in range(4)] == [True, True, False, False]
    assert meter.used == 2


async def test_without_a_limit_it_only_counts() -> None:
    meter = Store().meter(None)
    assert await meter.admit(10**6)
    assert not meter.limited
    assert meter.used == 10**6


@given(st.integers(0, 50), st.integers(0, 300), st.lists(st.integers(1, 200), max_size=60))
async def test_never_more_than_was_held(granted: int, left: int, pieces: list[int]) -> None:
    store = Store(left)
    meter = store.meter(granted)
    passed = 0
    for piece in pieces:
        if await meter.admit(piece):
            passed += piece
        assert passed == meter.used <= granted + left


async def test_a_checkpoint_is_written_when_its_time_has_come() -> None:
    store = Store()
    meter = store.meter(None)
    for _ in range(3):
        await meter.admit(1)
        meter.mark()
        store.now += CHECKPOINT / 2
    meter.mark()
    assert store.marks == [(0, 3)]


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), (" understanding", 1), ("x" * 32, 1), ("x" * 33, 9), ("x" * 400, 100)]
)
def test_a_piece_is_a_token_unless_it_is_too_long_for_one(text: str, tokens: int) -> None:
    assert tokens_of(text) == tokens


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("é", 1, 1),
        (" naïve", 1, 1),
        ("一", 1, 1),
        ("一二", 1, 1),
        ("一二三四五六七八九十" * 2, 8, 10),
        ("🙂", 1, 1),
        ("x" * 400 + "é", 100, 101),
        ("я" * 400, 100, 134),
        ("\ud800", 1, 1),
    ],
)
def test_what_is_not_ascii_is_counted_by_its_bytes(text: str, least: int, most: int) -> None:
    assert least <= tokens_of(text) <= most


@given(st.text(), st.text())
def test_pieces_are_never_fewer_tokens_than_a_sixth_of_what_is_not_ascii(first: str, second: str) -> None:
    for text in (first, first + second):
        assert (tokens_of(text) == 0) == (text == "")
        assert tokens_of(text) * 6 >= sum(len(char.encode()) for char in text if not char.isascii())
