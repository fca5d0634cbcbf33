"""The policy's data over HTTP: read, put back, not overwritten by accident, not opened by accident."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge.policy.active import ActivePolicy
from edge.policy.errors import NewAccess, PolicyMoved, PolicyToolError
from policies.bundle import Bundle
from policies.json import Object
from tests.edge.admin.harness import Admin, admin, policy, until
from tests.edge.listener.harness import Answer

DATA = "/policy/data"
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass
class Tool:
    """A life cycle that applies whatever passes; `refuse` is what it says instead."""

    bundle: Bundle = field(default_factory=lambda: policy("one"))
    refuse: PolicyToolError | None = None
    active: ActivePolicy | None = None
    hold: asyncio.Event | None = None
    applied: list[tuple[Object, str, str, str, bool]] = field(default_factory=list)

    async def written(self) -> Bundle:
        return self.bundle

    async def apply(self, bundle: Bundle, *, expected: str, author: str, note: str, confirm_new_access: bool) -> None:
        self.applied.append((bundle.data, expected, author, note, confirm_new_access))
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None and not confirm_new_access:
            raise self.refuse
        self.bundle = bundle
        if self.active is not None:
            # What runs is not what was written: the configuration adds its own.
            self.active.publish(replace(bundle, data={**bundle.data, "configured": True}))


async def put(door: Admin, body: bytes, query: str = "", headers: dict[str, str] | None = None) -> Answer:
    return await door.ask("PUT", f"{DATA}{query}", {**JSON_TYPE, **(headers or {})}, body)


def code(answer: Answer) -> str:
    found = json.loads(answer.body)["error"]["code"]
    assert isinstance(found, str)
    return found


async def test_what_decides_here_is_shown(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        assert await door.document("/policy") == {
            "revision": door.active.revision,
            "source": "test",
            "modules": ["access.rego"],
            "data": {"open": True},
        }


async def test_without_a_life_cycle_data_is_only_shown(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        assert (await door.ask("GET", DATA)).status == 404
        assert (await put(door, b"{}")).status == 404


async def test_data_is_read_changed_and_put_back(tmp_path: Path) -> None:
    tool = Tool()
    async with admin(tmp_path, tool=tool) as door:
        tool.active, before = door.active, tool.bundle.revision
        got = await door.ask("GET", DATA)
        assert (json.loads(got.body), got.headers["etag"]) == ({"open": True}, f'"{before}"')
        answer = await put(door, b'{"open":false}', "?note=closed%20for%20now", {"If-Match": got.headers["etag"]})
        assert answer.status == 200
        assert json.loads(answer.body) == {"revision": tool.bundle.revision, "changed": True, "in_force": True}
        assert answer.headers["etag"] == f'"{tool.bundle.revision}"'
        assert tool.applied == [({"open": False}, before, "boss", "closed for now", False)]
        assert tool.bundle.modules == policy("one").modules
        assert tool.bundle.tests == policy("one").tests
        assert (await door.document("/policy"))["data"] == {"open": False, "configured": True}
        assert await door.document(DATA) == {"open": False}


async def test_the_same_data_is_no_new_revision(tmp_path: Path) -> None:
    tool = Tool()
    async with admin(tmp_path, tool=tool) as door:
        answer = await put(door, b'{"open": true}')
        assert (answer.status, json.loads(answer.body)["changed"], tool.applied) == (200, False, [])


async def test_what_was_applied_and_does_not_run_yet_is_202(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.admin.data.IN_FORCE_WITHIN", 0.05)
    async with admin(tmp_path, tool=Tool()) as door:
        answer = await put(door, b"{}")
        assert (answer.status, json.loads(answer.body)["in_force"]) == (202, False)


async def test_what_somebody_else_applied_is_not_overwritten(tmp_path: Path) -> None:
    tool = Tool()
    async with admin(tmp_path, tool=tool) as door:
        etag = (await door.ask("GET", DATA)).headers["etag"]
        tool.bundle = policy("two")
        answer = await put(door, b"{}", headers={"If-Match": etag})
        assert (answer.status, code(answer), tool.applied) == (412, "policy_moved", [])


@pytest.mark.parametrize(
    ("refusal", "status", "word"),
    [
        (PolicyToolError("a test fails", "correct it"), 422, "policy_refused"),
        (PolicyMoved("another came first", "look again"), 412, "policy_moved"),
        (NewAccess("it opens m for ci", "give --confirm-new-access"), 409, "new_access"),
    ],
)
async def test_a_no_of_the_life_cycle_is_said(tmp_path: Path, refusal: PolicyToolError, status: int, word: str) -> None:
    tool = Tool(refuse=refusal)
    async with admin(tmp_path, tool=tool) as door:
        answer = await put(door, b"{}")
        assert (answer.status, code(answer)) == (status, word)
        assert refusal.problem in json.loads(answer.body)["error"]["message"]
        assert await door.document(DATA) == {"open": True}


async def test_new_access_is_confirmed_with_a_parameter(tmp_path: Path) -> None:
    tool = Tool(refuse=NewAccess("it opens m for ci", "give --confirm-new-access"))
    async with admin(tmp_path, tool=tool) as door:
        tool.active = door.active
        refused = await put(door, b"{}", "?confirm_new_access=false")
        assert "?confirm_new_access=true" in json.loads(refused.body)["error"]["message"]
        assert (await put(door, b"{}", "?confirm_new_access=true")).status == 200
        assert [entry[-1] for entry in tool.applied] == [False, True]


@pytest.mark.parametrize(
    "query", ["?confirm-new-access=true", "?confirm_new_access=yes", "?confirm_new_access", "?note=a&note=b", "?x=1",
              "?confirm_new_access=false&confirm_new_access=true", "?note=%ff", "?note=a&confirm_new_access=true&x=1"]
)  # fmt: skip
async def test_a_misspelt_parameter_is_no_yes(tmp_path: Path, query: str) -> None:
    tool = Tool()
    async with admin(tmp_path, tool=tool) as door:
        assert (await put(door, b"{}", query)).status == 400
        assert tool.applied == []


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 400), (b"", 400), (b'{"a":1,"a":2}', 400), (b'{"a":NaN}', 400), (b"{" + b" " * 1_100_000 + b"}", 413)],
)
async def test_a_body_that_is_no_strict_object_is_refused(tmp_path: Path, body: bytes, status: int) -> None:
    tool = Tool()
    async with admin(tmp_path, tool=tool) as door:
        assert (await put(door, body)).status == status
        assert (await put(door, b"{}", headers={"Content-Encoding": "gzip"})).status == 415
        assert tool.applied == []


async def test_one_at_a_time(tmp_path: Path) -> None:
    tool = Tool(hold=asyncio.Event())
    async with admin(tmp_path, tool=tool) as door:
        tool.active = door.active
        first = await door.send("PUT", DATA, JSON_TYPE, b"{}")
        await until(lambda: tool.applied)
        assert (await put(door, b'{"x":1}')).status == 429
        assert tool.hold is not None
        tool.hold.set()
        assert (await first.answer()).status == 200


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("plain", 403)])
async def test_only_admins_read_and_write(tmp_path: Path, key: str | None, status: int) -> None:
    tool = Tool()
    async with admin(tmp_path, tool=tool) as door:
        used = door.plain if key else None
        for method, path in [("GET", "/policy"), ("GET", DATA), ("PUT", DATA)]:
            assert (await door.ask(method, path, JSON_TYPE, key=used)).status == status
        assert tool.applied == []
