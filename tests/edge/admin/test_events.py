"""What OPAs decided ends in the decision log, durably, without crowding out the gateway's own decisions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from edge.admin.events import FleetEvents
from observability.decisions.log import DecisionLog, DecisionLogError
from observability.decisions.reader import iterate
from observability.decisions.settings import DecisionLogSettings
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason
from policies.record import Record
from tests.edge.admin.harness import admin

EVENT: Object = {
    "decision_id": "d-1",
    "path": "gateway/authz/decision",
    "timestamp": "2026-11-21T07:13:26.140931995Z",
    "input": {"id": "req-1", "model": {"requested": "m"}},
    "result": {"allow": True, "reasons": [], "obligations": {}},
    "bundles": {"gateway": {"revision": "r1"}},
    "labels": {"id": "opa-1"},
}


class Log:
    """Remembers how each record was written; the disk fails at record `full`."""

    def __init__(self, full: int | None = None) -> None:
        self.full = full
        self.waiting = 0
        self.most = 0
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)
        self.waiting += 1
        self.most = max(self.most, self.waiting)

    async def write_durably(self, record: Record) -> None:
        if self.full is not None and len(self.records) >= self.full:
            raise DecisionLogError("no space left")
        self.records.append(record)
        self.waiting = 0


async def test_events_become_records_and_nonsense_is_left_out() -> None:
    log = Log()
    events: list[JSON] = [
        EVENT,
        {**EVENT, "path": "system/log/mask"},
        7,
        {},
        {**EVENT, "decision_id": "d-2", "input": {}},
    ]
    assert await FleetEvents(log).take(events) == 2
    assert [(record.id, record.engine, record.revision, record.allow) for record in log.records] == [
        ("req-1", "fleet", "r1", True),
        ("d-2", "fleet", "r1", True),
    ]
    assert await FleetEvents(log).take([7]) == 0
    assert await FleetEvents(log).take([]) == 0


async def test_a_flood_waits_for_the_disk() -> None:
    log = Log()
    assert await FleetEvents(log).take([EVENT] * 1_050) == 1_050
    assert len(log.records) == 1_050
    assert log.most < 200
    assert log.waiting == 0


async def test_what_the_disk_does_not_take_is_refused_so_that_it_is_sent_again() -> None:
    with pytest.raises(Refusal) as caught:
        await FleetEvents(Log(full=300)).take([EVENT] * 500)
    assert caught.value.reason is Reason.INTERNAL
    assert "no space left" in caught.value.detail


async def test_they_are_on_the_disk_when_the_opa_gets_its_answer(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions", DecisionLogSettings())
    try:
        async with admin(tmp_path, events=FleetEvents(log)) as door:
            body = gzip.compress(json.dumps([EVENT]).encode())
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            answer = await door.ask("POST", "/policy/logs", headers, body)
            assert (answer.status, json.loads(answer.body)) == (200, {"taken": 1, "ignored": 0})
            (record,) = iterate(tmp_path / "decisions")
            assert (record.id, record.engine) == ("req-1", "fleet")
    finally:
        log.close()
