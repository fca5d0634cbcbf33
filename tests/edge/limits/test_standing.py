"""How full a caller's limits are: what holds for every model, what for single ones, and no more of these than said."""

from __future__ import annotations

from edge.limits.contract import Ask, Held, Lease
from edge.limits.memory import MemoryBudget, MemoryLeases
from edge.limits.rules import Asking, Rules
from edge.limits.settings import Amounts, LimitClass, LimitSettings, Per, Rule
from edge.limits.standing import MOST_MODELS, Filled, Standing, standing
from policies.principal import DEFAULT_SCOPES, Principal

NOW = 1_800_000_000.0
WHO = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES)
ANY = Asking(WHO, "", "lan")


class Stores:
    """Rules over stores in memory, at a standing clock."""

    def __init__(self, *rules: Rule, **classes: LimitClass) -> None:
        self.rules = Rules(LimitSettings(classes, rules))
        self.budget = MemoryBudget(lambda: int(NOW * 1000))
        self.leases = MemoryLeases()

    async def run(self, model: str, tokens: int) -> None:
        """A request that is under way."""
        applying = self.rules.applying(Asking(WHO, model, "lan"), NOW)
        assert isinstance(await self.budget.hold(Ask(applying.bounds, 1, tokens)), Held)
        assert isinstance(await self.leases.take(applying.seats), Lease)

    async def look(self, *models: str, asking: Asking = ANY) -> Standing:
        return await standing(self.rules, self.budget, self.leases, asking, models, now=NOW)


def told(filled: Filled) -> list[tuple[str, int]]:
    windows = [(level.bound.name, level.used) for level in filled.windows]
    return windows + [(f"{each.seats.name} at once", each.taken) for each in filled.seats]


async def test_limits_of_single_models_stand_beside_those_of_all() -> None:
    stores = Stores(
        Rule(name="all", per=Per.OWNER, tokens=Amounts(day=1000), concurrency=9),
        Rule(name="big", models=("big*",), tokens=Amounts(day=500), concurrency=2),
        Rule(name="each", per=Per.MODEL, models=("big-a", "tiny"), requests=Amounts(day=50)),
    )
    await stores.run("big-a", 100)
    await stores.run("big-b", 10)
    await stores.run("tiny", 1)
    found = await stores.look("tiny", "big-a", "other", "big-b", "tiny")
    assert told(found.all) == [("all", 111), ("all at once", 3)]
    assert [(model, told(filled)) for model, filled in found.models] == [
        ("tiny", [("each", 1)]),
        ("big-a", [("big", 110), ("each", 1), ("big at once", 2)]),
        ("big-b", [("big", 110), ("big at once", 2)]),
    ]
    assert found.left_out == 0


async def test_looking_takes_nothing_and_what_only_counts_is_not_told() -> None:
    stores = Stores(Rule(name="none", shadow=True, tokens=Amounts(day=5)))
    await stores.run("m", 3)
    assert await stores.look("m") == await stores.look("m")
    assert told((await stores.look()).all) == [("none", 3)]


async def test_no_more_models_than_said_are_looked_at_and_the_rest_is_counted() -> None:
    stores = Stores(Rule(name="each", per=Per.MODEL, models=("m*",), rpm=5))
    found = await stores.look("other", *(f"m{number}" for number in range(MOST_MODELS + 3)))
    assert [model for model, _ in found.models] == [f"m{number}" for number in range(MOST_MODELS)]
    assert found.left_out == 3


async def test_the_class_that_a_policy_put_the_question_into_is_told() -> None:
    stores = Stores(batch=LimitClass(rpm=5, concurrency=2))
    assert told((await stores.look()).all) == []
    found = await stores.look(asking=Asking(WHO, "", "lan", "batch"))
    assert told(found.all) == [("class batch", 0), ("class batch at once", 0)]
