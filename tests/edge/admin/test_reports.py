"""What OPAs say: kept in bounds, cleaned, and shown; an event that means nothing does not come back for ever."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.admin.reports import read_status
from edge.policy.instances import InstanceMemory
from edge.policy.store_types import Instance
from policies.json import JSON, Object
from tests.edge.admin.harness import Admin, admin
from tests.edge.identity.fixtures import NOW
from tests.edge.listener.harness import Answer

JSON_TYPE = {"Content-Type": "application/json"}
PACKED = {**JSON_TYPE, "Content-Encoding": "gzip"}
EVENT: Object = {"path": "gateway/authz/decision", "input": {"model": "m"}, "result": {"allow": True}}


def status(**changes: JSON) -> Object:
    bundle: Object = {"name": "gateway", "active_revision": "r1", "last_successful_activation": "…"}
    labels: Object = {"id": "opa-1", "version": "1.22.0"}
    return {"labels": labels, "bundles": {"gateway": bundle}, "plugins": {"bundle": {"state": "OK"}}, **changes}


async def post(door: Admin, path: str, document: JSON, *, packed: bool = True) -> Answer:
    body = json.dumps(document).encode()
    return await door.ask("POST", path, PACKED if packed else JSON_TYPE, gzip.compress(body) if packed else body)


@pytest.mark.parametrize("packed", [True, False])
async def test_a_status_tells_which_revision_runs_where(tmp_path: Path, packed: bool) -> None:
    async with admin(tmp_path) as door:
        bundles: Object = {"gateway": {"active_revision": door.active.revision}}
        assert (await post(door, "/policy/status", status(bundles=bundles), packed=packed)).status == 200
        labels: Object = {"id": "opa-2", "zone": "b"}
        broken: Object = {"x": {"active_revision": "old", "code": "bundle_error", "message": "no\nsuch\u202e key"}}
        door.clock.at = NOW + 5
        assert (await post(door, "/policy/status", status(labels=labels, bundles=broken), packed=packed)).status == 200
        door.clock.at = NOW + 7
        document = await door.document("/policy/status")
        assert (document["revision"], document["source"]) == (door.active.revision, "test")
        assert document["instances"] == [
            {
                "id": "opa-2",
                "labels": {"zone": "b"},
                "revision": "old",
                "code": "bundle_error",
                "message": "no such  key",
                "seen_at": NOW + 5,
                "age_s": 2.0,
                "current": False,
            },
            {
                "id": "opa-1",
                "labels": {"version": "1.22.0"},
                "revision": door.active.revision,
                "code": "",
                "message": "",
                "seen_at": NOW,
                "age_s": 7.0,
                "current": True,
            },
        ]


def test_of_several_bundles_ours_is_the_one_of_our_name() -> None:
    both: Object = {"a": {"active_revision": "x"}, "gateway": {"active_revision": "y"}}
    cases: list[tuple[JSON, str]] = [
        (both, "y"),
        ({"a": {"active_revision": "x"}}, "x"),
        ({"a": {}, "b": {}}, ""),
        ({}, ""),
    ]
    for bundles, revision in cases:
        found = read_status(status(bundles=bundles), NOW)
        assert found is not None
        assert found.revision == revision


json_values: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=2_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=300), inner, max_size=30),
    max_leaves=40,
)


@given(json_values, json_values, json_values, st.text(max_size=300))
def test_whatever_an_opa_says_is_bounded_and_fit_to_print(labels: JSON, bundles: JSON, bundle: JSON, name: str) -> None:
    """Invariant: any JSON is no status, or an instance of short printable texts."""
    for document in (labels, status(labels=labels), status(bundles=bundles), status(bundles={name: bundle})):
        found = read_status(document, NOW)
        if found is None:
            continue
        assert found.id
        assert len(found.labels) <= 16
        texts = [found.id, found.revision, found.code, found.message]
        texts += [str(part) for pair in found.labels.items() for part in pair]
        assert all(text.isprintable() and len(text) <= 500 for text in texts)


@pytest.mark.parametrize(
    "document", [[], "x", None, {}, {"labels": {}}, {"labels": {"id": 7}}, {"labels": {"id": "\n"}}]
)
async def test_what_is_no_status_is_refused(tmp_path: Path, document: JSON) -> None:
    async with admin(tmp_path) as door:
        assert (await post(door, "/policy/status", document)).status == 400
        assert (await door.document("/policy/status"))["instances"] == []


async def test_events_are_handed_on_and_nonsense_is_counted(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        events: list[JSON] = [EVENT, {"labels": {}}, 7, None, *([EVENT] * 200)]
        answer = await post(door, "/policy/logs", events)
        assert (answer.status, json.loads(answer.body)) == (200, {"taken": 201, "ignored": 3})
        assert door.heard.events == [EVENT] * 201
        assert (await post(door, "/policy/logs", [], packed=False)).status == 200


async def test_where_no_logs_are_kept_none_are_taken(tmp_path: Path) -> None:
    async with admin(tmp_path, logs=False) as door:
        assert (await post(door, "/policy/logs", [EVENT])).status == 404


@pytest.mark.parametrize("document", [{}, {"events": [EVENT]}, "x", None, 7])
async def test_what_is_no_list_of_events_is_refused(tmp_path: Path, document: JSON) -> None:
    async with admin(tmp_path) as door:
        assert (await post(door, "/policy/logs", document)).status == 400


@pytest.mark.parametrize("path", ["/policy/status", "/policy/logs"])
async def test_what_is_too_large_packed_or_not_is_refused(tmp_path: Path, path: str) -> None:
    async with admin(tmp_path) as door:
        bomb = gzip.compress(b"[" + b" " * 9_000_000 + b"]")
        assert len(bomb) < 20_000
        assert (await door.ask("POST", path, PACKED, bomb)).status == 413
        assert (await door.ask("POST", path, JSON_TYPE, b"[" + b" " * 1_100_000 + b"]")).status == 413
        parts = gzip.compress(b"[" + b"{}," * 300_000 + b"{}]")
        assert (await door.ask("POST", path, PACKED, parts)).status == 400
        assert door.heard.events == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {**JSON_TYPE, "Content-Encoding": "br"},
        {**JSON_TYPE, "Content-Encoding": "gzip, gzip"},
    ],
)
async def test_other_types_and_encodings_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with admin(tmp_path) as door:
        assert (await door.ask("POST", "/policy/logs", headers, b"[]")).status == 415


async def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        assert (await door.ask("POST", "/policy/logs", PACKED, gzip.compress(b"[]")[:-4])).status == 400


async def test_the_memory_of_instances_is_bounded() -> None:
    memory = InstanceMemory(most=3)
    for number in (0, 1, 2, 0, 3):
        await memory.seen(Instance(f"opa-{number}", {}, "r", float(number)))
    assert [instance.id for instance in await memory.all()] == ["opa-3", "opa-0", "opa-2"]
