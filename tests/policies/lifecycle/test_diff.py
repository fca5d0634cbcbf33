"""A difference names every change once, and is empty for equal policies only."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from policies.bundle import Bundle
from policies.grants import Grant
from policies.json import JSON, Object, as_object
from policies.lifecycle.diff import difference, difference_document, render_difference
from tests.policies.lifecycle.questions import bundle

DEV = Grant("dev", ("qwen*",), groups=("dev",), max_tokens=100)
OPS = Grant("ops", ("*",), groups=("ops",))
TEXT = "package gateway.authz\n\nallow := true\n"


def test_files_are_shown_as_unified_diffs() -> None:
    old = Bundle({"a.rego": TEXT, "gone.rego": TEXT}, {"a_test.rego": TEXT})
    new = Bundle({"a.rego": TEXT.replace("true", "false"), "new.rego": TEXT}, {"a_test.rego": TEXT + "# more\n"})
    found = difference(old, new)
    assert [(f.name, f.kind, f.what) for f in found.files] == [
        ("a.rego", "module", "changed"),
        ("gone.rego", "module", "removed"),
        ("new.rego", "module", "added"),
        ("a_test.rego", "test", "changed"),
    ]
    assert "-allow := true\n+allow := false" in found.files[0].diff
    assert found.files[1].diff.startswith("--- a/gone.rego\n+++ /dev/null")
    assert found.files[2].diff.startswith("--- /dev/null\n+++ b/new.rego")
    assert not found.files[2].diff.endswith("+")


def test_ends_of_lines_are_a_change_too() -> None:
    (crlf,) = difference(Bundle({"a": TEXT}), Bundle({"a": TEXT.replace("\n", "\r\n")})).files
    assert "\\r" in render_difference(difference(Bundle({"a": TEXT}), Bundle({"a": TEXT.replace("\n", "\r\n")})))
    assert crlf.diff
    (end,) = difference(Bundle({"a": TEXT}), Bundle({"a": TEXT.rstrip()})).files
    assert end.diff


def test_a_file_that_is_too_long_is_named_all_the_same() -> None:
    (change,) = difference(Bundle({"a": "\n" * 9_000}), Bundle({"a": "x\n" * 9_000})).files
    assert "too long" in change.diff


def test_grants_are_told_by_their_ids_not_by_their_places() -> None:
    found = difference(bundle(DEV, OPS), bundle(Grant("new", ("*",), everyone=True), replace(DEV, max_tokens=200), OPS))
    assert [(grant.id, grant.what) for grant in found.grants] == [("dev", "changed"), ("new", "added")]
    (value,) = found.grants[0].values
    assert (value.path, value.before, value.after) == ("/obligations/max_tokens", 100, 200)
    assert found.data == ()
    assert not found.reordered


def test_another_order_of_grants_is_a_change() -> None:
    found = difference(bundle(DEV, OPS), bundle(OPS, DEV))
    assert found.reordered
    assert not found.empty
    assert "another order" in render_difference(found)


def test_other_data_is_told_path_by_path() -> None:
    old = Bundle({}, {}, {"a/b": {"x": 1, "gone": [1]}, "same": {"deep": [1, {"k": None}]}})
    new = Bundle({}, {}, {"a/b": {"x": True, "new": {}}, "same": {"deep": [1, {"k": None}]}})
    assert [(value.path, value.what) for value in difference(old, new).data] == [
        ("/a~1b/gone", "removed"),
        ("/a~1b/new", "added"),
        ("/a~1b/x", "changed"),
    ]


def test_data_that_calls_something_else_grants_is_just_data() -> None:
    odd: list[JSON] = [[1, 2], [{"id": "a"}, {"id": "a"}], [{}], "all"]
    for value in odd:
        found = difference(Bundle({}, {}, {"grants": value}), bundle(DEV))
        assert found.grants == ()
        assert "/grants" in [change.path for change in found.data]


def test_a_terminal_sees_direction_overrides_as_escapes() -> None:
    text = render_difference(difference(Bundle({"a": TEXT}), Bundle({"a": TEXT + "# \u202e\x1b[2J\n"})))
    assert "\\u202e\\x1b[2J" in text
    assert all(c.isprintable() or c == "\n" for c in text)


def test_the_text_says_what_the_document_says() -> None:
    found = difference(bundle(DEV), bundle(replace(DEV, tools=False), OPS))
    text = render_difference(found)
    assert "~ grant dev\n    /tools: yes -> no" in text
    assert "+ grant ops\n" in text
    document = difference_document(found)
    assert orjson.loads(orjson.dumps(document)) == document
    assert as_object(document)["old"] == bundle(DEV).revision


scalars = st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["", "a"])
data = st.dictionaries(
    st.sampled_from(["grants", "a", "b"]),
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "subjects", "a"]), inner, max_size=2)
        ),
        max_leaves=8,
    ),
    max_size=3,
)
texts = st.dictionaries(st.sampled_from(["a.rego", "b.rego"]), st.sampled_from(["", "x", "x\n", "y\u2028"]), max_size=2)
bundles = st.builds(Bundle, texts, texts, data)


@given(bundles, bundles)
def test_no_difference_means_the_same_revision(old: Bundle, new: Bundle) -> None:
    found = difference(old, new)
    assert found.empty is (old.revision == new.revision)
    render_difference(found)


def sorted_bytes(value: JSON) -> bytes:
    """The order of an object's members means nothing."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@given(data, data)
def test_nothing_is_hidden_that_data_say_beside_the_grants(before: Object, after: Object) -> None:
    found = difference(Bundle({}, {}, before), Bundle({}, {}, after))
    top = {change.path.split("/")[1] for change in found.data}
    assert {
        name for name in ("a", "b") if sorted_bytes(before.get(name, 0.5)) != sorted_bytes(after.get(name, 0.5))
    } == (top & {"a", "b"})


def test_a_grant_that_goes_is_told_with_what_it_held() -> None:
    found = difference(bundle(DEV, OPS), bundle(OPS))
    assert [(grant.id, grant.what) for grant in found.grants] == [("dev", "removed")]
    assert "- grant dev\n    /images: was yes\n" in render_difference(found)
    assert not found.reordered
