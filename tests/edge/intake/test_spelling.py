"""Which spellings some decoder would take for a known name."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.spelling import MAX_FOLDED, fold, shown
from tests.edge.intake.fuzzing import CALM

KNOWN = ["model", "stream", "max_tokens", "tools", "top_k", "min_p", "suffix", "messages"]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("MODEL", "model"),
        ("Max_Tokens", "max_tokens"),
        ("max_to\u212aens", "max_tokens"),  # Kelvin sign: Go 1.27 sets max_tokens (F2)
        ("\u017ftream", "stream"),  # long s: Go sets stream (F2)
        ("m\u0131n_p", "min_p"),  # dotless i
        ("M\u0130N_P", "min_p"),  # I with dot
        ("\uff4dodel", "model"),  # full width
        ("max\uff3ftokens", "max_tokens"),  # full-width low line
        ("su\ufb03x", "suffix"),  # ligature ffi
        ("mod\u00e9l", "model"),
        ("mode\u0301l", "model"),
        ("\U0001d426odel", "model"),  # mathematical bold
        ("\u24dcodel", "model"),  # circled
        ("model\x00", "model"),
        ("\x00model", "model"),
        ("model ", "model"),
        ("\tmodel\r\n", "model"),
        ("mo\u200bdel", "model"),  # zero-width space
        ("\ufeffmodel", "model"),
        ("mo\u00addel", "model"),  # soft hyphen
        ("model\u00a0", "model"),
        ("mode\u202el", "model"),  # right-to-left override
    ],
)
def test_confusable_spellings_fold_onto_the_name(spelling: str, name: str) -> None:
    assert spelling != name
    assert fold(spelling) == fold(name) == name


@pytest.mark.parametrize("name", ["max-tokens", "maxTokens", "m\u043edel", "models", "mode", "model[]", "$model", ""])
def test_other_names_stay_other_names(name: str) -> None:
    assert fold(name) not in KNOWN


@CALM
@given(st.sampled_from(KNOWN), st.data())
def test_any_mix_of_case_folds(name: str, data: st.DataObject) -> None:
    mixed = "".join(data.draw(st.sampled_from([c, c.upper()])) for c in name)
    assert fold(mixed) == name


@CALM
@given(st.text())
def test_folding_never_fails_and_what_goes_by_simple_folding_goes_here(name: str) -> None:
    folded = fold(name)
    if name.casefold() in KNOWN:
        assert folded == name.casefold()


def test_long_names_are_not_looked_at() -> None:
    start = time.process_time()
    # Canonical ordering of a million marks is quadratic.
    assert fold("model" + "\u0301\u0316" * 500_000) == ""
    assert time.process_time() - start < 1
    assert fold("x" * MAX_FOLDED) == "x" * MAX_FOLDED


@pytest.mark.parametrize("name", ["foo", "a.b", "a-b_c[0]", "X" * 40])
def test_harmless_names_are_shown(name: str) -> None:
    assert shown(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a\r\nset-cookie: x", "é", "a,b", "<b>", "x" * 41, "a\n"])
def test_other_names_are_not(name: str) -> None:
    assert shown(name) == "?"
