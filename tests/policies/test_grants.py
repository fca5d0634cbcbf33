"""Grants refuse what could not be in force, and compile to what the default policy reads."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.grants import DAYS, USUAL, Grant, Hours, policy_data
from policies.json import Object, as_list, as_object
from policies.names import matches
from policies.obligations import NAMES, Priority, read_obligations
from tests.policies.strategies import CANONICAL, GLOBS

PLAIN = Grant("dev", ("qwen*",), groups=("dev",))


def compiled(grant: Grant) -> Object:
    return as_object(as_list(policy_data([grant])["grants"])[0])


def test_a_plain_grant() -> None:
    assert policy_data([PLAIN]) == {
        "v": 1,
        "revision": "",
        "grants": [
            {
                "id": "dev",
                "subjects": {"group:dev": True},
                "operations": [*USUAL],
                "models": [{"glob": "qwen*", "pattern": "^qwen.*$"}],
                "tools": True,
                "images": True,
                "obligations": {},
            }
        ],
        "caps": {},
    }


def test_to_change_which_models_there_are_has_to_be_granted_by_name() -> None:
    assert {"models.pull", "models.delete"}.isdisjoint(Grant("g", ("*",), everyone=True).operations)
    grant = Grant("g", ("*",), everyone=True, operations=("models.pull", "models.delete"))
    assert compiled(grant)["operations"] == ["models.pull", "models.delete"]


def test_everything_a_grant_can_say() -> None:
    grant = Grant(
        "all",
        ("ai/Qwen*", "*:latest"),
        users=("ann",),
        groups=("dev",),
        keys=("k1",),
        operations=("chat",),
        networks=("office",),
        listeners=("lan",),
        hours=(Hours(("sun",), 23, 1),),
        max_tokens=5,
        timeout=1.5,
        tool_names=("f",),
        images=False,
        priority=Priority.BATCH,
        rate_class="slow",
        strip=("seed",),
        redact=("messages",),
        capture="metadata",
        audit=True,
        headers={"x-a": "1"},
        aliases={"GPT-4o": "ai/Qwen3:latest"},
    )
    assert compiled(grant) == {
        "id": "all",
        "subjects": {"user:ann": True, "group:dev": True, "key:k1": True},
        "operations": ["chat"],
        "models": [{"glob": "ai/Qwen*", "pattern": "^qwen[^/]*$"}, {"glob": "*:latest", "pattern": "^[^:]*$"}],
        "networks": ["office"],
        "listeners": ["lan"],
        "hours": [0, 167],
        "tools": True,
        "images": False,
        "aliases": {"gpt-4o": "qwen3"},
        "obligations": {
            "max_tokens": 5,
            "timeout_s": 1.5,
            "tools_allowed": ["f"],
            "priority": "batch",
            "rate_class": "slow",
            "strip": ["seed"],
            "redact": ["messages"],
            "capture": "metadata",
            "audit": True,
            "headers": {"x-a": "1"},
        },
    }


def test_a_grant_names_nobody_unless_it_says_whom() -> None:
    assert compiled(Grant("a", ("*",)))["subjects"] == {}
    assert compiled(Grant("a", ("*",), everyone=True))["subjects"] == {"everyone": True}


def test_a_group_cannot_pass_for_everyone() -> None:
    assert compiled(replace(PLAIN, groups=("everyone",)))["subjects"] == {"group:everyone": True}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": ""}, "id must be"),
        ({"id": "a b"}, "id must be"),
        ({"models": ()}, "at least one model"),
        ({"models": ("",)}, "at least one model"),
        ({"models": ("a b",)}, "at least one model"),
        ({"models": ("[ab]",)}, "at least one model"),
        ({"operations": ()}, "operations are: chat"),
        ({"operations": ("me",)}, "operations are: chat"),
        ({"everyone": True}, "leaves nobody"),
        ({"users": ("",)}, "printable"),
        ({"users": ("a\n",)}, "printable"),
        ({"networks": ("",)}, "names that the configuration"),
        ({"tools": False, "tool_names": ("f",)}, "tools: true"),
        ({"tool_names": ("f g",)}, "tool_names must"),
        ({"max_tokens": 0}, "max_tokens must"),
        ({"timeout": 0.0}, "timeout must"),
        ({"timeout": 1e9}, "timeout must"),
        ({"rate_class": "Gold!"}, "rate_class must"),
        ({"strip": ("messages",)}, "strip may hold only"),
        ({"redact": ("id",)}, "redact may hold only"),
        ({"headers": {"x-request-id": "a"}}, "headers may hold only"),
        ({"aliases": {"gpt-*": "qwen3"}}, "without wildcards"),
        ({"aliases": {"gpt-4o": ""}}, "without wildcards"),
        ({"aliases": {"gpt-4o": "a", "ai/GPT-4o": "b"}}, "one name"),
    ],
)
def test_what_no_grant_can_say(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        replace(PLAIN, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ([PLAIN, PLAIN], "two grants have the id dev"),
        ([replace(PLAIN, id=f"g{i}") for i in range(1025)], "at most 1024 grants"),
        ([replace(PLAIN, id=f"g{i}", headers={f"x-{i}": "v"}) for i in range(17)], "at most 16 different headers"),
        (
            [replace(PLAIN, id=f"g{i}", tool_names=tuple(f"f{i}-{j}" for j in range(600))) for i in range(2)],
            "at most 1024 tools",
        ),
        (
            [replace(PLAIN, aliases={"a": "b"}), replace(PLAIN, id="other", aliases={"ai/B": "c"})],
            "alias b is the model of another alias",
        ),
        ([replace(PLAIN, aliases={"a": "a"})], "alias a is the model of another alias"),
    ],
)
def test_what_cannot_be_in_force_together(grants: list[Grant], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        policy_data(grants)


def test_caps_for_everybody() -> None:
    assert policy_data([], max_tokens=5, timeout=2.5)["caps"] == {"max_tokens": 5, "timeout_s": 2.5}
    with pytest.raises(ValueError, match="max_tokens"):
        policy_data([], max_tokens=0)


def test_every_obligation_of_a_grant_is_in_the_vocabulary() -> None:
    assert {"max_tokens", "timeout_s", "tools_allowed", "priority", "rate_class", "strip", "redact", "capture",
            "audit", "headers"} | {"model", "models"} == NAMES  # fmt: skip


@given(st.integers(0, 23), st.integers(0, 24), st.sets(st.sampled_from(DAYS), min_size=1))
def test_hours(start: int, end: int, days: set[str]) -> None:
    """Every hour of a week, told one by one."""
    hours = Hours(tuple(day for day in DAYS if day in days), start, end)
    expected = set()
    for number, day in enumerate(DAYS):
        moment = start
        while day in days and (moment == start or moment % 24 != end % 24):
            expected.add((24 * number + moment) % 168)
            moment += 1
    assert hours.of_week() == expected


@pytest.mark.parametrize(
    "arguments", [((), 0, 24), (("mon",), 24, 24), (("mon",), -1, 5), (("mon",), 0, 25), (("may",), 0, 1)]
)
def test_what_no_hours_are(arguments: tuple[tuple[str, ...], int, int]) -> None:
    with pytest.raises(ValueError, match=r"days are|hour from"):
        Hours(*arguments)  # type: ignore[arg-type]


@given(GLOBS, CANONICAL)
def test_a_grants_expression_means_its_glob(glob: str, name: str) -> None:
    pattern = as_object(as_list(compiled(replace(PLAIN, models=(glob,)))["models"])[0])["pattern"]
    assert isinstance(pattern, str)
    assert (re.search(pattern, name) is not None) == matches(glob, name)


@given(st.integers(1, 2**31), st.floats(0.001, 86_400))
def test_caps_of_grants_can_be_met(tokens: int, seconds: float) -> None:
    found = read_obligations(compiled(replace(PLAIN, max_tokens=tokens, timeout=seconds))["obligations"])
    assert (found.max_tokens, found.timeout_s) == (tokens, seconds)
