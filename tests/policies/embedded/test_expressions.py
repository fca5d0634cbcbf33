"""The grammar of regular expressions: what is in it, what is not, and that data is held to it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.embedded.alike import data_fault
from policies.embedded.expressions import unlike
from policies.names import expression

LIKE = [
    *(
        "",
        "^qwen.*$",
        "a|b|",
        "(?i)^qwen$",
        "(?i:a)b",
        "(?:a|b){2,3}?",
        "[a-z0-9._-]+",
        "[^a-z]",
        "[-a]",
        "[[:alpha:]_]*",
    ),
    *(r"\.\-\/\_\{\}\[\]\\\^\$", "é+", "a{1000}", "(a{10}){100}", r"[\]\\\-]", r"\n", "x?(?:y*z)+"),
]
UNLIKE = [
    *(
        r"\d",
        r"\w",
        r"\s",
        r"\b",
        r"\B",
        r"\pL",
        r"\p{Greek}",
        r"\u0041",
        r"\x41",
        r"\1",
        r"\<",
        r"\Qa\E",
        "(?x)a",
        "(?u)a",
    ),
    *(
        "(?P<n>a)",
        "(?=a)",
        "(?-i)a",
        "[a[b]]",
        "[a&&b]",
        "[a--b]",
        "[[:foo:]]",
        "[[=a=]]",
        "[z-a]",
        "[]",
        "[",
        "]",
        "}",
    ),
    *(
        "a**",
        "a+*",
        "a{1}{2}",
        "(a{100}){20}",
        "a{1001}",
        "a{2,1}",
        "a{,2}",
        "*a",
        "(",
        ")",
        "a)",
        "^*",
        "(?i)é",
        "(?i)*",
    ),
    *("[a-z-9]", "(?ii)A", r"[a-\-]"),
]


@pytest.mark.parametrize("text", LIKE)
def test_is_within_the_grammar(text: str) -> None:
    assert unlike(text) is None


@pytest.mark.parametrize("text", UNLIKE)
def test_is_beyond_the_grammar(text: str) -> None:
    assert unlike(text)


@given(st.text(alphabet="ab01-._:/@+*?", max_size=40))
def test_every_glob_of_the_gateways_is_within(glob: str) -> None:
    assert unlike(expression(glob)) is None


@given(st.text(alphabet=r"ab-^$.|?*+()[]{}\,1:i&~é", max_size=12))
def test_what_is_within_is_an_expression(text: str) -> None:
    if unlike(text) is None:
        re.compile(text.replace("[[:", "["))


def test_expressions_in_data_are_held_to_it() -> None:
    assert data_fault({"rules": [{"pattern": "^a$", "text": r"\d"}], "patterns": {"x": ["b"]}}) is None
    assert data_fault({"rules": [{"pattern": r"^\d$"}]}) is not None
    assert data_fault({"patterns": {"x": ["a", "a**"]}}) is not None
