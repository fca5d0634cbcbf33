"""What would a candidate have decided otherwise? Over 10,000 decisions: nothing, or exactly what it changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from observability.decisions.log import DecisionLog
from observability.decisions.settings import DecisionLogSettings
from policies.bundle import Bundle
from policies.call import Operation
from policies.embedded.workshop import Evaluator
from policies.engine import PolicyFault
from policies.grants import Grant, policy_data
from policies.input import PolicyInput, Shape
from policies.json import JSON, Object, as_object
from policies.principal import DEFAULT_SCOPES, Principal
from policies.record import Record
from policies.rego import default_bundle
from policies.result import read_decision
from tests.policies.asking import question
from tests.system.process import Ended, Gateway
from tests.system.wire import loads

COUNT = 10_000
MODELS = ("qwen3", "llama3", "phi4", "gemma3")
GROUPS = ("dev", "ops", "sales")
GRANTS = (
    Grant("dev", ("qwen*", "phi4"), groups=("dev",), max_tokens=2048),
    Grant("ops", ("llama3",), groups=("ops",), tools=False),
)
OPENED = Grant("sales", ("gemma3",), groups=("sales",))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gateway, list[Record]]:
    """A gateway (not running) with that many decisions of the policy that its configuration makes."""
    folder = tmp_path_factory.mktemp("replay")
    gateway = Gateway(folder, {"policy": {"grants": [configured(grant) for grant in GRANTS]}})
    gateway.file.write_bytes(orjson.dumps(gateway.config))
    records = asyncio.run(decided(default_bundle(policy_data(GRANTS)), list(questions())))
    log = DecisionLog(folder / "home" / "decisions", DecisionLogSettings())
    for record in records:
        log.write(record)
        if log.dropped:
            raise AssertionError("the log dropped records")
    log.close()
    return gateway, records


def configured(grant: Grant) -> Object:
    document: Object = {"id": grant.id, "models": list(grant.models), "groups": list(grant.groups)}
    if grant.max_tokens is not None:
        document["max_tokens"] = grant.max_tokens
    return document | {"tools": grant.tools}


def questions() -> Iterator[PolicyInput]:
    choose = random.Random(7)
    for number in range(COUNT):
        groups = frozenset(choose.sample(GROUPS, choose.randint(0, 2)))
        caller = Principal(f"user-{number % 50}", f"k{number % 50}", "key", "key", groups, DEFAULT_SCOPES)
        shape = Shape(tools=choose.choice((0, 0, 1)), max_tokens=choose.randint(0, 4096))
        operation = choose.choice((Operation.CHAT, Operation.CHAT, Operation.EMBEDDINGS))
        yield replace(question(caller, operation, choose.choice(MODELS), shape=shape), id=f"{number:032x}")


async def decided(bundle: Bundle, asked: list[PolicyInput]) -> list[Record]:
    documents = [each.document() for each in asked]
    async with Evaluator(bundle) as evaluator:
        results = await evaluator.evaluate_many([orjson.dumps(document) for document in documents])
    return [record(document, result, bundle) for document, result in zip(documents, results, strict=True)]


def record(document: Object, result: JSON | PolicyFault, bundle: Bundle) -> Record:
    assert isinstance(result, dict)
    decision = read_decision(result)
    return Record(
        id=str(document["id"]),
        at=1_795_262_400.0,
        input=document,
        result=result,
        allow=decision.allow,
        reason="" if decision.allow else "model_not_permitted",
        detail="",
        revision=bundle.revision,
        engine="embedded",
        took_us=300,
    )


def replay(gateway: Gateway, ref: str) -> Ended:
    return gateway.run("policy", "replay", ref, "--json", "--config", str(gateway.file), within=100.0)


def test_the_policy_in_force_makes_no_flip(recorded: tuple[Gateway, list[Record]]) -> None:
    gateway, _ = recorded
    ended = replay(gateway, "active")
    assert ended.code == 0, ended.err
    report = loads(ended.out)
    assert report["compared"] == COUNT, report
    assert set(flips(report).values()) == {0}


def test_a_candidate_that_opens_one_model_shows_exactly_those_flips(
    recorded: tuple[Gateway, list[Record]], tmp_path: Path
) -> None:
    gateway, records = recorded
    assert gateway.run("policy", "init", str(tmp_path / "candidate")).code == 0
    (tmp_path / "candidate" / "data.json").write_bytes(orjson.dumps(policy_data((OPENED,))))
    expected = [each for each in records if not each.allow and opened(each.input)]
    assert 0 < len(expected) < COUNT / 4
    ended = replay(gateway, str(tmp_path / "candidate"))
    assert ended.code == 1, ended.err
    report = loads(ended.out)
    assert report["compared"] == COUNT
    found = flips(report)
    # Callers that are now granted something else are told another reason; that lets nobody in.
    assert found.pop("reasons") >= 0
    assert {kind: count for kind, count in found.items() if count} == {"deny->allow": len(expected)}


def opened(given: Object) -> bool:
    groups, model = as_object(given["caller"])["groups"], as_object(given["model"])["resolved"]
    return isinstance(groups, list) and "sales" in groups and model == "gemma3"


def flips(report: Object) -> dict[str, int]:
    counts = {kind: as_object(found)["count"] for kind, found in as_object(report["flips"]).items()}
    return {kind: count for kind, count in counts.items() if isinstance(count, int)}
