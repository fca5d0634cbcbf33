"""Two questions share an answer only if the policy cannot tell them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cache import VOLATILE, KeyAt, Lru, key_without
from policies.json import JSON, Object

NAMES = st.sampled_from(["a", "b", "id", "time", "now_ns"])
VALUES: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.5, "", "1", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=4, unique=True)


def at(document: JSON, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return ("nothing",)
        document = document[name]
    return typed(document)


def typed(value: JSON) -> object:
    """Python takes True, 1 and 1.0 for one; a policy does not."""
    match value:
        case dict():
            return {name: typed(inner) for name, inner in value.items()}
        case list():
            return [typed(inner) for inner in value]
        case _:
            return (type(value).__name__, value)


@given(PATHS, DOCUMENTS, DOCUMENTS)
def test_keys_are_equal_exactly_if_all_that_is_read_is(
    paths: list[tuple[str, ...]], one: Object, other: Object
) -> None:
    same = all(at(one, path) == at(other, path) for path in paths)
    key = KeyAt(paths)
    assert (key(one) == key(other)) is same


def test_absent_is_not_null_nor_empty() -> None:
    documents: list[Object] = [{}, {"a": None}, {"a": []}, {"a": [None]}, {"a": {}}]
    assert len({KeyAt([("a",)])(document) for document in documents}) == len(documents)


def test_what_changes_with_every_request_is_left_out() -> None:
    one: Object = {
        "id": "1",
        "trace_id": "1",
        "usage": {"x": 1},
        "time": {"now_ns": 1, "iso": "a", "minute": 1, "hour": 7},
    }
    same: Object = {"id": "2", "trace_id": "2", "usage": {}, "time": {"now_ns": 2, "iso": "b", "minute": 2, "hour": 7}}
    other: Object = {**same, "time": {"now_ns": 2, "iso": "b", "minute": 2, "hour": 8}}
    assert key_without(VOLATILE, one) == key_without(VOLATILE, same)
    assert key_without(VOLATILE, one) != key_without(VOLATILE, other)
    assert "id" in one


@pytest.mark.parametrize("capacity", [1, 3])
def test_the_least_recently_used_goes(capacity: int) -> None:
    kept: Lru[int] = Lru(capacity)
    for number in range(5):
        kept.put(b"%d" % number, number)
        _ = kept.get(b"0")
    assert len(kept) == capacity
    assert kept.get(b"4") == 4
    assert (kept.get(b"0") == 0) is (capacity > 1)
