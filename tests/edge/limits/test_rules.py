"""Which bounds a request falls under."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from edge.limits.contract import DAY, LARGEST, MINUTE, MONTH, Bound, Meter, Seats
from edge.limits.rules import Asking, Rules
from edge.limits.settings import Amounts, LimitClass, LimitSettings, Per, Rule
from policies.principal import DEFAULT_SCOPES, Principal, Quota

NOW = 1_800_000_000.0  # 2027-01-15


def who(groups: tuple[str, ...] = (), quota: Quota | None = None) -> Principal:
    return Principal("ann", "k1", "laptop", "key", frozenset(groups), DEFAULT_SCOPES, quota=quota or Quota())


def asking(
    principal: Principal | None = None, model: str = "qwen3", listener: str = "lan", rate_class: str | None = None
) -> Asking:
    return Asking(principal or who(), model, listener, rate_class)


def bounds(
    *rules: Rule, classes: Mapping[str, LimitClass] | None = None, ask: Asking | None = None, now: float = NOW
) -> dict[tuple[str, str, str], int]:
    applying = Rules(LimitSettings(classes or {}, rules)).applying(ask or asking(), now)
    return {
        (bound.subject, bound.meter.value, bound.window.name): bound.most for bound in applying.bounds if bound.name
    }


def test_without_limits_nothing_is_bounded() -> None:
    applying = Rules(LimitSettings()).applying(asking(), NOW)
    assert (applying.seats, applying.most_gpu_ms, applying.meters_output) == ((), 0, False)
    assert applying.bounds == Rules.watched(who())
    assert all(bound.shadow and bound.most == LARGEST for bound in applying.bounds)


def test_a_keys_own_limits_and_the_default_for_what_it_does_not_say() -> None:
    classes = {"default": LimitClass(rpm=60, tpm=1000, concurrency=4)}
    assert bounds(classes=classes) == {("key:k1", "requests", "minute"): 60, ("key:k1", "tokens", "minute"): 1000}
    own = asking(who(quota=Quota(tpm=5000, tpd=9000)))
    assert bounds(classes=classes, ask=own) == {
        ("key:k1", "requests", "minute"): 60,
        ("key:k1", "tokens", "minute"): 5000,
        ("key:k1", "tokens", "day"): 9000,
    }
    assert Rules(LimitSettings(classes)).applying(asking(), NOW).seats == (Seats("key:k1", 4, name="key laptop"),)


def test_a_class_that_a_policy_chose_counts_beside_the_keys_own() -> None:
    classes = {"batch": LimitClass(tokens=Amounts(day=7)), "default": LimitClass(rpm=5)}
    assert bounds(classes=classes, ask=asking(rate_class="batch")) == {
        ("key:k1", "requests", "minute"): 5,
        ("class:batch key:k1", "tokens", "day"): 7,
    }


def test_every_kind_of_subject_has_its_counter() -> None:
    rules = [Rule(name=f"r-{per}", per=per, rpm=1) for per in Per]
    found = bounds(*rules, ask=asking(who(groups=("dev", "ops"))))
    assert {subject for subject, _, _ in found} == {
        "rule:r-key key:k1",
        "rule:r-owner owner:ann",
        "rule:r-group group:dev",
        "rule:r-group group:ops",
        "rule:r-model model:qwen3",
        "rule:r-listener listener:lan",
    }


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        (Rule(name="r", rpm=1, owners=frozenset({"ann"})), True),
        (Rule(name="r", rpm=1, owners=frozenset({"bob"})), False),
        (Rule(name="r", rpm=1, keys=frozenset({"laptop"})), True),
        (Rule(name="r", rpm=1, keys=frozenset({"k1"})), True),
        (Rule(name="r", rpm=1, keys=frozenset({"k2"})), False),
        (Rule(name="r", rpm=1, groups=frozenset({"dev", "x"})), True),
        (Rule(name="r", rpm=1, groups=frozenset({"x"})), False),
        (Rule(name="r", rpm=1, models=("qwen*",)), True),
        (Rule(name="r", rpm=1, models=("llama*",)), False),
        (Rule(name="r", rpm=1, listeners=frozenset({"local"})), False),
    ],
)
def test_a_rule_is_about_whom_it_names(rule: Rule, *, applies: bool) -> None:
    assert bool(bounds(rule, ask=asking(who(groups=("dev",))))) is applies


def test_a_rule_of_groups_counts_only_those_it_names() -> None:
    rule = Rule(name="r", rpm=1, per=Per.GROUP, groups=frozenset({"dev"}))
    assert [subject for subject, _, _ in bounds(rule, ask=asking(who(groups=("dev", "ops"))))] == ["rule:r group:dev"]


def test_a_raise_replaces_others_until_it_ends() -> None:
    month = Rule(name="month", per=Per.OWNER, tokens=Amounts(month=10))
    more = Rule(
        name="launch", per=Per.OWNER, tokens=Amounts(month=99), replaces=frozenset({"month"}), until="2027-02-01"
    )
    rules = Rules(LimitSettings({}, (month, more)))
    ends = more.ends
    assert ends is not None
    raised = rules.applying(asking(), NOW)
    assert [(bound.name, bound.most) for bound in raised.bounds if bound.name] == [("launch", 99)]
    assert raised.until == ends
    assert [(b.name, b.most, b.window) for b in rules.applying(asking(), ends).bounds if b.name] == [
        ("month", 10, MONTH)
    ]


def test_a_raise_can_replace_a_keys_own_limits_and_the_default() -> None:
    own = asking(who(quota=Quota(tpd=10)))
    free = Rule(name="free", replaces=frozenset({"key"}), until="2027-02-01")
    assert bounds(free, ask=own) == {}
    counting = Rules(LimitSettings({}, (free,))).applying(own, NOW).bounds
    assert [(bound.meter, bound.shadow) for bound in counting if bound.window is DAY] == [(Meter.TOKENS, True)]
    no_default = Rule(name="x", replaces=frozenset({"default"}), until="2027-02-01")
    assert bounds(no_default, classes={"default": LimitClass(rpm=1)}, ask=own) == {("key:k1", "tokens", "day"): 10}


def test_shadow_and_suspended_rules_stay_what_they_are() -> None:
    rules = Rules(LimitSettings({}, (Rule(name="try", tpd=5, shadow=True), Rule(name="off", requests=Amounts(day=0)))))
    found = rules.applying(asking(), NOW)
    assert found.bounds[3:] == (
        Bound("rule:try key:k1", Meter.TOKENS, DAY, 5, shadow=True, name="try"),
        Bound("rule:off key:k1", Meter.REQUESTS, DAY, 0, name="off"),
    )
    assert not found.meters_output
    assert found.most_gpu_ms == 0


def test_gpu_seconds_are_counted_in_milliseconds_and_held_a_little() -> None:
    found = Rules(LimitSettings({}, (Rule(name="gpu", gpu_seconds=Amounts(hour=2)),))).applying(asking(), NOW)
    assert [bound.most for bound in found.bounds if bound.name] == [2000]
    assert found.most_gpu_ms == 2000


@pytest.mark.parametrize("most", [0, 2])
def test_a_class_has_its_seats_and_a_suspended_one_none(most: int) -> None:
    rules = Rules(LimitSettings({"batch": LimitClass(concurrency=most)}))
    assert rules.applying(asking(rate_class="batch"), NOW).seats == (
        Seats("class:batch key:k1", most, name="class batch"),
    )
    assert rules.applying(asking(), NOW).seats == ()


def test_answers_are_remembered_and_a_changed_key_is_another_question() -> None:
    rules = Rules(LimitSettings({"default": LimitClass(rpm=60)}))
    assert rules.applying(asking(), NOW) is rules.applying(asking(), NOW)
    assert rules.applying(asking(who(quota=Quota(rpm=1))), NOW).bounds[0].most == 1
    assert rules.applying(asking(), NOW).bounds[0].window is MINUTE


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LimitClass(rpm=-1), "rpm must be from 0"),
        (lambda: LimitClass(tokens=Amounts(day=10**16)), "day must be from 0"),
        (lambda: LimitClass(rpm=1, requests=Amounts(minute=1)), "the same limit"),
        (lambda: Rule(name="r"), "needs a limit"),
        (lambda: Rule(name="r", rpm=1, until="soon"), "until must be a date"),
        (lambda: Rule(name="r", rpm=1, replaces=frozenset({"x"})), "needs an `until`"),
        (lambda: LimitSettings({}, (Rule(name="r", rpm=1), Rule(name="r", rpm=2))), "two rules are named r"),
        (
            lambda: LimitSettings({}, (Rule(name="r", rpm=1, replaces=frozenset({"x"}), until="2027-01-01"),)),
            "no rule x to replace",
        ),
        (lambda: Rule(name="r", rpm=1, replaces=frozenset({"r"}), until="2027-01-01"), "cannot replace itself"),
        (lambda: Rule(name="a\u200b", rpm=1), "printable"),
        (lambda: Rule(name="key", rpm=1), "other than `key`"),
        (lambda: LimitSettings({"a\u200b": LimitClass()}), "printable"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=says):
        make()
