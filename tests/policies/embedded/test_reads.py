"""Reads: what two inputs may differ in without the answer differing."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.embedded.findings import Reads
from policies.embedded.parse import read_module
from policies.embedded.reads import reads
from policies.embedded.rego import Policy, RegoError, syntax_tree
from policies.json import JSON
from tests.policies.embedded.policies_for_tests import DATA, HEAD


def of(rules: str) -> Reads:
    text = f"{HEAD}{rules}\n"
    return reads([read_module("a.rego", text, syntax_tree("a.rego", text))])


CASES = [
    ("x := input.caller.id", [("caller", "id")]),
    ('x := input["caller"]["id"]', [("caller", "id")]),
    ("x := input.caller[k] if k := input.key.id", [("caller",), ("key", "id")]),
    ("x := input.models[0].name", [("models",)]),
    ("x if {\n\tc := input.caller\n\tc.id == 1\n}", [("caller",)]),
    ("x := f(input.caller)\n\nf(c) := c.id", [("caller",)]),
    ("x := [input.caller.id, input.caller]", [("caller",)]),
    ("import input.caller as c\n\nx := c.id", [("caller",)]),
    ("x := {y | some y in input.models; y == input.model.resolved}", [("model", "resolved"), ("models",)]),
    ("x if input.v == 1 with input.key.id as input.caller.id", [("caller", "id"), ("key", "id"), ("v",)]),
    ("x contains input.key.id", [("key", "id")]),
    ("x[input.key.id] := 1", [("key", "id")]),
    ("f(input.key.id) := 1", [("key", "id")]),
    ("x := 1 if input.v == 1 else := input.operation", [("operation",), ("v",)]),
    ("x if every m in input.models { m == input.key.id }", [("key", "id"), ("models",)]),
    ("x if walk(input.key, [_, 1])", [("key",)]),
    ("x := 1", []),
]


@pytest.mark.parametrize(("rules", "paths"), CASES)
def test_finds_the_paths(rules: str, paths: list[tuple[str, ...]]) -> None:
    assert of(rules) == Reads(tuple(paths), whole=False, volatile=False)


@pytest.mark.parametrize(
    "rules",
    ["x := input", "x := input[k] if k := data.gwcfg.k", "x := f(input)\n\nf(i) := i.v", "x if walk(input, [_, 1])",
     "x if some k, v in input", "import input as i\n\nx := i.v", 'x := object.get(input, "v", 0)'],
)  # fmt: skip
def test_input_as_a_whole_is_everything(rules: str) -> None:
    assert of(rules) == Reads((), whole=True, volatile=True)


@pytest.mark.parametrize(
    ("rules", "volatile"),
    [
        ("x := input.id", True),
        ("x := input.trace_id", True),
        ("x := input.time", True),
        ("x := input.time.now_ns", True),
        ("x := input.time.minute", True),
        ("x := input.usage.tokens_day", True),
        ("x := time.now_ns()", True),
        ('x := rand.intn("a", 2)', True),
        ('x := uuid.rfc4122("a")', True),
        ("x := http.send({})", True),
        ("x := opa.runtime()", True),
        ('x if startswith("a", "b") with startswith as http.send', True),
        ("x := input.time.hour", False),
        ("x := input.time.weekday", False),
        ("x := input.caller.id", False),
    ],
)
def test_volatile(rules: str, volatile: bool) -> None:
    assert of(rules).volatile is volatile


KEYS = ("a", "b")
LEAVES = st.sampled_from([0, 1, "x", True, [1, 0], ["x"]])
INPUTS = st.fixed_dictionaries({first: st.fixed_dictionaries(dict.fromkeys(KEYS, LEAVES)) for first in KEYS})
REFS = st.sampled_from(
    ["input.a.a", "input.a", "input.b.b", 'input["b"].a', "input.a[k]", "f(input.b)", "[y | some y in input.a.b][0]"]
)
CONDITIONS = st.sampled_from(
    ["{0} == {1}", "not {0} == {1}", "{0} != {1}", "count([1 | {0} == {1}]) == 1", "z := {0}; z == {1}"]
)


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Rules of conditions over references to the input, direct, iterated and through a function."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        condition = draw(CONDITIONS).format(draw(REFS), draw(REFS))
        iterate = 'some k in {"a", "b"}; ' if "[k]" in condition else ""
        lines.append(f"x contains {len(lines)} if {{ {iterate}{condition} }}")
    return "\n\n".join(["f(v) := v.a", *lines, "decision := [v | some v in x]"])


def answer(policy: Policy, document: Mapping[str, object]) -> str | None:
    try:
        return policy.value(orjson.dumps(document).decode())
    except RegoError as error:
        return str(error)


def cut(document: dict[str, dict[str, JSON]], found: Reads) -> JSON:
    """What `found` says is read of `document`."""
    kept: dict[str, JSON] = {}
    for path in found.paths:
        inner = document[path[0]]
        kept[".".join(path)] = inner if len(path) == 1 else inner[path[1]]
    return kept


@settings(max_examples=300, deadline=None)
@given(rules=policies(), one=INPUTS, changes=INPUTS)
def test_what_is_not_in_reads_does_not_matter(
    rules: str, one: dict[str, dict[str, JSON]], changes: dict[str, dict[str, JSON]]
) -> None:
    """The invariant of the cache: inputs that are equal on `paths` get the same answer."""
    text = f"{HEAD}{rules}\n"
    found = of(rules)
    assert not found.whole
    other = {first: dict(inner) for first, inner in changes.items()}
    for path in found.paths:
        if len(path) == 1:
            other[path[0]] = one[path[0]]
        else:
            other[path[0]][path[1]] = one[path[0]][path[1]]
    for path in (path for path in found.paths if len(path) == 1):
        other[path[0]] = one[path[0]]
    assert cut(one, found) == cut(other, found)
    policy = Policy({"a.rego": text}, DATA)
    assert answer(policy, one) == answer(policy, other)
