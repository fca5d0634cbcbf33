"""What is said of a grant is what the default policy finds; each failed condition is named with wanted and had."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.call import Operation
from policies.grants import Grant, Hours, policy_data
from policies.input import PolicyInput, Shape, Wanted
from policies.json import JSON, as_list, as_object, as_str
from policies.lifecycle.nearness import Miss, Standing, bounds, hour_ranges, standings
from policies.principal import Scope
from tests.policies.lifecycle.questions import ANN, CHAT, NOON, Policy, grants, questions

DEV = Grant("dev", ("qwen*",), groups=("dev",))


def misses(grant: Grant, question: PolicyInput = CHAT) -> dict[str, tuple[JSON, JSON]]:
    (found,) = standings(policy_data([grant]), question.document())
    return {miss.condition: (miss.wanted, miss.had) for miss in found.misses}


@pytest.mark.parametrize(
    ("change", "condition", "wanted", "had"),
    [
        ({"groups": ("ops",)}, "subject", ["group:ops"], ["user:ann", "group:dev", "key:k1"]),
        ({"operations": ("embeddings",)}, "operation", ["embeddings"], "chat"),
        ({"models": ("llama*", "m?")}, "model", ["llama*", "m?"], "qwen3"),
        ({"networks": ("vpn",)}, "network", ["vpn"], ["office"]),
        ({"listeners": ("wan",)}, "listener", ["wan"], "lan"),
        ({"hours": (Hours(("mon",), 22, 6),)}, "hours", ["mon 22 - tue 06"], "wed 12"),
    ],
)
def test_a_condition_that_fails_is_named(change: dict[str, object], condition: str, wanted: JSON, had: JSON) -> None:
    assert misses(replace(DEV, **change)) == {condition: (wanted, had)}  # type: ignore[arg-type] # fields by name
    assert misses(DEV) == {}


def test_what_the_request_carries_leaves_the_grant_matching() -> None:
    carrying = replace(CHAT, shape=Shape(tools=2, tool_names=("sh", "ls"), images=1))
    (found,) = standings(policy_data([replace(DEV, tools=False, images=False)]), carrying.document())
    assert found.matched
    assert {miss.condition for miss in found.misses} == {"tools", "images"}
    assert misses(replace(DEV, tool_names=("ls",)), carrying) == {"tool_names": (["ls"], ["sh"])}
    assert misses(replace(DEV, tool_names=("ls", "sh")), carrying) == {}
    assert misses(replace(DEV, tool_names=("ls",), strip=("tools",)), carrying) == {}


def test_the_nearest_grant_comes_first() -> None:
    data = policy_data(
        [replace(DEV, id="far", groups=("x",), networks=("y",)), replace(DEV, id="near", networks=("y",)), DEV]
    )
    assert [found.id for found in standings(data, CHAT.document())] == ["dev", "near", "far"]


def test_an_alias_is_judged_by_the_model_it_leads_to() -> None:
    data = policy_data([DEV])
    asked = replace(CHAT, model=Wanted("gpt", "gpt")).document()
    assert not standings(data, asked)[0].matched
    assert standings(data, asked, target="qwen3")[0].matched


@given(st.lists(grants, max_size=4, unique_by=lambda grant: grant.id), questions)
@settings(max_examples=150, deadline=None)
def test_exactly_the_grants_that_the_policy_finds_match(granted: list[Grant], question: PolicyInput) -> None:
    """Differential: this module's reading of the grants against the default policy's own."""
    data, document = policy_data(granted), question.document()
    rules = Policy(data).rules(document, "target", "matching")
    found = standings(data, document, target=as_str(rules.get("target")))
    matching = [as_object(grant)["id"] for grant in as_list(rules["matching"])]
    assert sorted(standing.id for standing in found if standing.matched) == sorted(map(str, matching))


@given(questions)
@settings(max_examples=60, deadline=None)
def test_the_bounds_are_those_that_the_policy_finds(question: PolicyInput) -> None:
    document = question.document()
    rules = Policy(policy_data(())).rules(document, "scope_ok", "within_key")
    lacking = {miss.condition for miss in bounds(document)}
    assert ("scope" in lacking) is (rules["scope_ok"] is False)
    assert ("model" in lacking) is (rules["within_key"] is False)


def test_what_the_credential_lacks_is_named() -> None:
    who = replace(ANN, scopes=frozenset({Scope.MODELS_READ}), models=("llama*",), expires_at=NOON.now_ns / 1e9 - 1)
    found = bounds(replace(CHAT, principal=who).document(), target="other")
    assert [(miss.condition, miss.wanted) for miss in found][:3] == [
        ("scope", "inference"),
        ("model", ["llama*"]),
        ("model", ["llama*"]),
    ]
    assert found[3].condition == "expiry"
    assert bounds(replace(CHAT, principal=who, operation=Operation.ME).document())[0].condition == "expiry"


def test_time_zones_of_the_week_are_told_as_people_write_them() -> None:
    def told(*given_hours: Hours) -> list[str]:
        return hour_ranges(frozenset[int]().union(*(hours.of_week() for hours in given_hours)))

    assert told(Hours()) == ["always"]
    assert told(Hours(("mon", "tue"), 8, 18)) == ["mon 08-18", "tue 08-18"]
    assert told(Hours(("mon",), 0, 24)) == ["mon 00-24"]
    assert told(Hours(("fri",), 22, 6)) == ["fri 22 - sat 06"]
    assert told(Hours(("sun",), 22, 6)) == ["sun 22 - mon 06"]
    assert told(Hours(("sat", "sun"), 0, 24), Hours(("mon",), 0, 6)) == ["sat 00 - mon 06"]
    assert hour_ranges([]) == []


@given(st.frozensets(st.integers(0, 167), min_size=1))
def test_ranges_cover_each_hour_once(hours: frozenset[int]) -> None:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    covered: list[int] = []
    for text in hour_ranges(hours):
        if text == "always":
            covered += range(168)
            continue
        first, _, last = text.partition(" - ")
        day, _, clock = first.partition(" ")
        start = days.index(day) * 24 + int(clock[:2])
        until = days.index(last[:3]) * 24 + int(last[4:]) if last else days.index(day) * 24 + int(clock[3:])
        covered += [hour % 168 for hour in range(start, until if until > start else until + 168)]
    assert sorted(covered) == sorted(hours)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["subjects", "models", "glob", "hours", "networks", "tools", "obligations", "id", "key", "time"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, json_values)
def test_data_of_any_other_shape_is_not_judged(one: JSON, other: JSON) -> None:
    found = standings({"grants": [one]}, as_object(other))
    assert all(isinstance(standing, Standing) for standing in found)
    assert all(isinstance(miss, Miss) for miss in bounds(as_object(other)))
