"""What metrics call a model: a name that the catalogue has, whatever callers make of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from edge.config.telemetry import Telemetry as Settings
from edge.fleet import Fleet
from edge.inflight import Inflight
from edge.tasks import Tasks
from edge.telemetry import KnownNames, Telemetry, _in_flight
from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model
from observability.metrics import catalogue as names
from observability.metrics.snapshot import Family
from policies.call import Call, Dialect, Operation
from policies.errors import Refusal
from policies.exchange import Client
from policies.reasons import Reason
from policies.record import Record
from tests.observability.live.exchanges import arrived, decided

ENGINE = Engine("one", Kind.OPENAI, "http://127.0.0.1:1", 1)


def fleet(*models: str, **aliases: str) -> SimpleNamespace:
    return SimpleNamespace(catalogue=Catalogue([(ENGINE, [Model(name, name) for name in models])], aliases))


def test_a_name_is_known_in_each_of_its_spellings_and_none_other_is() -> None:
    known = KnownNames(cast(Fleet, fleet("qwen", gpt="qwen")))
    for _ in range(2):  # asked for, and remembered
        assert [known(name) for name in ("qwen", "ai/QWEN:latest", "gpt", "GPT")] == ["qwen", "qwen", "gpt", "gpt"]
        assert [known(name) for name in ("llama", "", "a b", "qwen\n", "x" * 300)] == [""] * 5


def test_presets_are_no_names_of_their_own() -> None:
    """One label for each that could be put behind another would fill the family, for every caller."""
    there = fleet("qwen", gpt="qwen", coder="qwen@code")
    there.catalogue = there.catalogue.with_presets({"code", "chat"})
    known = KnownNames(cast(Fleet, there))
    spelled = {f"{name}{'@code' * times}@chat" for name in ("qwen", "gpt", "coder") for times in range(5)}
    assert {known(name) for name in spelled} == {"qwen", "gpt", "coder"}


def test_what_is_remembered_ends_with_the_catalogue() -> None:
    there = fleet("qwen")
    known = KnownNames(cast(Fleet, there))
    assert (known("qwen"), known("llama")) == ("qwen", "")
    there.catalogue = fleet("llama").catalogue
    assert (known("qwen"), known("llama")) == ("", "llama")


def test_spellings_do_not_fill_the_memory() -> None:
    known = KnownNames(cast(Fleet, fleet("a" * 14)))
    for number in range(5_000):
        spelling = "".join("aA"[number >> bit & 1] for bit in range(14))
        assert known(spelling) == "a" * 14
    assert len(known._names) <= 1_024


def record(engine: str, reason: str = "", took_us: int = 0) -> Record:
    return Record("id", 0.0, {}, None, not reason, reason, "", "rev", engine, took_us)


async def test_decisions_and_wire_refusals_are_counted() -> None:
    tasks = Tasks()
    telemetry = Telemetry(Settings(), tasks, lambda: 1.0)
    try:
        for each in (record("embedded", took_us=250), record("embedded", took_us=150), record("cache", took_us=5)):
            telemetry.decided(each)
        telemetry.decided(record("credential", "scope_missing"))
        telemetry.rejected(Refusal(Reason.UNKNOWN_HOST), Client("10.0.0.1", 1, "lan"))
    finally:
        await telemetry.close()
        await tasks.close()

    def values(family: Family) -> dict[tuple[str, ...], float]:
        points = next(each.points for each in telemetry.registry.snapshots() if each.family is family)
        return {point.labels: point.count or point.value for point in points}

    assert values(names.DECISIONS) == {
        ("allow", "", "embedded"): 2,
        ("allow", "", "cache"): 1,
        ("deny", "scope_missing", "credential"): 1,
    }
    assert values(names.DECISION_TIME) == {("embedded",): 2, ("cache",): 1}
    assert values(names.WIRE_REFUSALS) == {("lan", "unknown_host"): 1}


async def test_who_has_not_been_decided_on_is_not_named() -> None:
    inflight = Inflight()
    with inflight.scope(arrived("ann")), inflight.scope(decided("bob")):
        for exchange in inflight.exchanges():
            exchange.call = exchange.call or Call(Operation.CHAT, Dialect.OPENAI, model="Tiny")
        assert sorted(_in_flight(inflight)) == [(("", ""), 1), (("bob", "tiny"), 1)]
