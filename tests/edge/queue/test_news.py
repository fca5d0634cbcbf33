"""News arrive as they were sent; whatever else stands on the channel is nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.queue.news import BANDS, News, decode
from policies.json import JSON

NEWS = News("p.1", "e", ((0, "k"), (2, "l")), {"k": 2.5, "l": -1.0}, 3, (None, 4.0, None), {"k": 9.0}, hello=True)
AMOUNTS = st.floats(0, 1e12)


@given(
    st.builds(
        News,
        st.text(),
        st.text(),
        st.lists(st.tuples(st.integers(0, BANDS - 1), st.text())).map(tuple),
        st.dictionaries(st.text(), st.floats(-1e12, 1e12)),
        st.integers(0, 1000),
        st.tuples(*[st.none() | AMOUNTS] * BANDS),
        st.dictionaries(st.text(), AMOUNTS),
        hello=st.booleans(),
    )
)
def test_what_is_sent_arrives(news: News) -> None:
    assert decode(news.encode().encode()) == news


def test_it_says_whether_anybody_waits() -> None:
    assert NEWS.waits
    assert not News("p", "e").waits


@pytest.mark.parametrize(
    "change",
    [
        {"from": 1},
        {"engine": None},
        {"running": -1},
        {"running": "1"},
        {"running": 10**400},
        {"line": [None]},
        {"line": [None, -1.0, None]},
        {"line": [None, True, None]},
        {"line": None},
        {"turns": [[3, "k"]]},
        {"turns": [[0]]},
        {"turns": [["0", "k"]]},
        {"served": {"k": float("nan")}},
        {"served": {"k": float("inf")}},
        {"served": {"k": 1e300}},
        {"served": {"k": 10**400}},
        {"served": {"k": "1"}},
        {"accounts": {"k": -1}},
        {"accounts": {"k": 10**400}},
    ],
)
def test_what_is_not_of_its_form_is_nothing(change: dict[str, JSON]) -> None:
    assert decode(json.dumps({**json.loads(NEWS.encode()), **change}).encode()) is None


@given(st.binary())
def test_rubbish_is_nothing(data: bytes) -> None:
    assert decode(data) is None


def test_nested_too_deep_is_nothing() -> None:
    assert decode(b"[" * 100_000) is None
