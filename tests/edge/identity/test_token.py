"""The key format: what is minted is read back, and nothing near it is."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.identity.token import KEY_LENGTH, KEY_PATTERN, Token, mint, parse, redact

ENTROPY = st.binary(min_size=48, max_size=48)


def minted(entropy: bytes) -> Token:
    pool = bytearray(entropy)

    def draw(count: int) -> bytes:
        taken = bytes(pool[:count])
        del pool[:count]
        return taken

    return mint(draw)


@given(ENTROPY)
@example(b"\x00" * 48)
@example(b"\xff" * 48)
def test_a_minted_key_is_read_back(entropy: bytes) -> None:
    token = minted(entropy)
    assert len(token.text) == KEY_LENGTH == 64
    assert re.fullmatch(KEY_PATTERN, token.text)
    assert parse(token.text) == token


@given(ENTROPY, st.integers(0, 63), st.characters())
def test_any_changed_character_is_refused(entropy: bytes, position: int, character: str) -> None:
    text = minted(entropy).text
    changed = text[:position] + character + text[position + 1 :]
    assert (parse(changed) is None) == (changed != text)


@given(ENTROPY, st.integers(0, 62))
def test_swapped_neighbours_are_refused(entropy: bytes, position: int) -> None:
    text = minted(entropy).text
    changed = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    assert (parse(changed) is None) == (changed != text)


@given(st.text(max_size=80))
@example("")
@example("lgw_")
@example("lgw_" + "٣" * 60)
@example("lgw_" + "\ud800" * 60)
def test_any_text_is_a_key_or_none_and_never_an_error(text: str) -> None:
    token = parse(text)
    assert token is None or token.text == text


@pytest.mark.parametrize("change", [lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], lambda t: t + "A"])
def test_another_length_is_refused(change: object) -> None:
    assert callable(change)
    assert parse(change(mint(os.urandom).text)) is None


def test_two_keys_differ_and_a_new_secret_keeps_the_id() -> None:
    first, second = mint(os.urandom), mint(os.urandom)
    assert first.id != second.id
    again = mint(os.urandom, key_id=first.id)
    assert again.id == first.id
    assert again.secret != first.secret


def test_the_secret_is_not_in_the_repr() -> None:
    token = mint(os.urandom)
    assert token.secret not in repr(token)


@given(ENTROPY, st.text(max_size=20), st.text(max_size=20), st.integers(0, 12))
def test_a_log_line_loses_the_secret_even_of_a_cut_key(entropy: bytes, before: str, after: str, cut: int) -> None:
    token = minted(entropy)
    line = redact(before + token.text[: KEY_LENGTH - cut] + after)
    assert token.secret[:12] not in line
    assert token.id in line


def test_a_jwt_and_a_broken_key_are_redacted_and_prose_is_not() -> None:
    assert redact("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln!") == "got [redacted jwt]!"
    assert redact("lgw_x2TTOgZe7EEm5FYQ01MLO8151gKJt") == "lgw_[redacted]"
    assert redact("the lgw_ prefix, and lgw_total") == "the lgw_ prefix, and lgw_total"
