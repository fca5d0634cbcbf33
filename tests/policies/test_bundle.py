"""A revision is the hash of everything that a policy is, and of nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.bundle import Bundle, canonical_json
from policies.json import JSON, Object
from tests.policies.strategies import JSONS, TEXT

FILES = st.dictionaries(TEXT, TEXT, max_size=3)
DATA = st.dictionaries(TEXT, JSONS, max_size=3)
ONE = Bundle({"a.rego": "package gateway.a"}, {"a_test.rego": "package gateway.a_test"}, {"v": 1})


def test_a_revision_does_not_change_from_release_to_release() -> None:
    assert ONE.revision == "1f70954a89bdd59ea7c1bfd2dc3816eb660c66cabc06e0850d264f02eaf7b0c9"


@given(FILES, FILES, DATA)
def test_order_does_not_count(modules: dict[str, str], tests: dict[str, str], data: Object) -> None:
    turned = Bundle(dict(reversed(modules.items())), dict(reversed(tests.items())), dict(reversed(data.items())))
    assert turned.revision == Bundle(modules, tests, data).revision


@given(st.tuples(FILES, FILES, DATA), st.tuples(FILES, FILES, DATA))
def test_what_differs_has_another_revision(
    one: tuple[dict[str, str], dict[str, str], Object], other: tuple[dict[str, str], dict[str, str], Object]
) -> None:
    same = one[:2] == other[:2] and canonical_json(one[2]) == canonical_json(other[2])
    assert (Bundle(*one).revision == Bundle(*other).revision) == same


@pytest.mark.parametrize(
    "other",
    [
        Bundle({"b.rego": "package gateway.a"}, ONE.tests, ONE.data),
        Bundle({"a.rego": "package gateway.a "}, ONE.tests, ONE.data),
        Bundle({**ONE.modules, **ONE.tests}, {}, ONE.data),
        Bundle(ONE.modules, {}, ONE.data),
        Bundle(ONE.modules, ONE.tests, {"v": 2}),
        Bundle({"a.regopackage": " gateway.a"}, ONE.tests, ONE.data),
    ],
)
def test_text_cannot_wander_between_parts(other: Bundle) -> None:
    assert other.revision != ONE.revision


@given(DATA)
def test_canonical_json_is_json(data: Object) -> None:
    again: JSON = json.loads(canonical_json(data))
    assert again == data


def test_canonical_json_is_compact_sorted_utf_8() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "é<&>"}) == '{"a":"é<&>","b":[1,2.5]}'.encode()
