"""OPA and the embedded engine answer alike, but for known cases, and those are refused by `policy check`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edge.intake.strict_json import parse
from policies.errors import Refusal
from tests.policies.differential.cases import cases
from tests.policies.differential.comparison import compared, findings
from tests.policies.differential.differences import REFUSED_AS_INPUT, REFUSED_BY_CHECK
from tests.policies.differential.engines import ERROR, by_embedded

_AT_ONCE = 3


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names) >= 200


def test_the_engines_differ_where_it_is_known_and_nowhere_else(tmp_path: Path) -> None:
    found = compared(tmp_path)
    different = {each.case.name: (each.opa, each.embedded) for each in found if each.differs}
    known = REFUSED_BY_CHECK | REFUSED_AS_INPUT
    assert {name: outcomes for name, outcomes in different.items() if name not in known} == {}
    assert known - different.keys() == set()


async def test_check_refuses_what_differs() -> None:
    gate = asyncio.Semaphore(_AT_ONCE)
    passed: list[str] = []

    async def look(name: str) -> None:
        async with gate:
            if not await findings(by_name[name]):
                passed.append(name)

    by_name = {case.name: case for case in cases()}
    async with asyncio.TaskGroup() as group:
        for name in REFUSED_BY_CHECK:
            group.create_task(look(name))
    assert passed == []


def test_inputs_that_differ_are_refused(tmp_path: Path) -> None:
    refused = [case for case in cases() if case.name in REFUSED_AS_INPUT]
    assert len(refused) == len(REFUSED_AS_INPUT)
    assert {by_embedded([case], tmp_path)[case.name] for case in refused} == {ERROR}
    for case in refused:
        with pytest.raises(Refusal):
            parse(json.dumps(case.given).encode())
