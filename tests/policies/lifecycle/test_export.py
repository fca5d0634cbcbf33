"""Records go out as a real OPA writes them and come back whole; what is no decision of ours is refused."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.grants import policy_data
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.lifecycle.export import EventError, event, read_event, rfc3339
from policies.record import Record
from tests.policies.lifecycle.questions import CHAT, MODULES, YES, no, record

OPA = Path(sys.executable).parent / "opa"
LABELS = {"id": "gw-1", "app": "llm-gateway"}

EVENT: Object = {
    "labels": {"id": "opa-1", "version": "1.22.0"},
    "decision_id": "4ca636c1-55e4-417a-b1d8-4aceb67960d1",
    "bundles": {"gateway": {"revision": "abc"}},
    "path": "gateway/authz/decision",
    "input": {"v": 1, "id": "req-7", "caller": {"id": "ann"}},
    "result": YES,
    "requested_by": "127.0.0.1:59943",
    "timestamp": "2026-11-18T12:30:00.123456789+01:00",
    "metrics": {"timer_rego_query_eval_ns": 250_999, "timer_server_handler_ns": 900_000},
    "erased": ["/input/source/ip"],
    "masked": ["/input/a~1b/c~0d"],
    "req_id": 3,
}


def test_an_event_has_what_opa_writes() -> None:
    one = replace(record(YES, number=5), at=1_795_000_000.5, masked=("caller.id",))
    assert event(one, LABELS) == {
        "labels": LABELS,
        "decision_id": "req-5",
        "trace_id": "req-5",
        "path": "gateway/authz/decision",
        "input": one.input,
        "result": YES,
        "bundles": {"gateway": {"revision": "r" * 64}},
        "timestamp": "2026-11-18T11:06:40.500000000Z",
        "metrics": {"timer_rego_query_eval_ns": 240_000},
        "masked": ["/input/caller/id"],
        "custom": {"gateway": {"id": "req-5", "allow": True, "reason": "", "engine": "opa"}},
    }


def test_two_questions_of_one_request_are_two_decisions() -> None:
    ids = [event(replace(record(), redirect=redirect), {})["decision_id"] for redirect in (0, 1)]
    assert ids == ["req-1", "req-1/1"]


def test_a_decision_that_was_none_is_an_error() -> None:
    failed = replace(record(None, reason="policy_failed"), detail="undefined")
    document = event(failed, {})
    assert "result" not in document
    assert document["error"] == {"code": "policy_failed", "message": "undefined"}


def test_an_event_of_a_fleet_is_read() -> None:
    found = read_event(EVENT)
    assert (found.id, found.engine, found.revision, found.took_us) == ("req-7", "fleet", "abc", 250)
    assert (found.allow, found.reason) == (True, "")
    assert found.at == 1_795_001_400.123456789
    assert found.masked == ("source.ip", "a/b.c~d")
    assert found.result == YES


@pytest.mark.parametrize(
    ("change", "allow", "reason"),
    [
        ({"result": no("no_grant")}, False, "policy_denied"),
        ({"result": None}, False, "policy_failed"),
        ({"result": True}, False, "policy_failed"),
        ({"result": {"allow": "yes"}}, False, "policy_failed"),
        ({"result": {**YES, "obligations": {"unknown": 1}}}, False, "policy_failed"),
        ({"custom": {"gateway": {"allow": False, "reason": "policy_obligation"}}}, False, "policy_obligation"),
        ({"custom": {"gateway": {"allow": 1}}}, False, "policy_denied"),
        ({"result": no("a"), "custom": {"gateway": {"allow": True, "reason": ""}}}, False, "policy_denied"),
        ({"result": no("a"), "custom": {"gateway": {"reason": "<b>"}}}, False, "policy_denied"),
        ({"custom": {"gateway": {"engine": "embedded"}}}, True, ""),
    ],
)
def test_only_a_clear_yes_is_a_yes(change: Object, *, allow: bool, reason: str) -> None:
    found = read_event({**EVENT, **change})
    assert (found.allow, found.reason, found.engine) == (allow, reason, "fleet")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"path": "system/authz/allow"}, "path"),
        ({"path": None}, "path"),
        ({"decision_id": ""}, "decision_id"),
        ({"decision_id": 7}, "decision_id"),
        ({"input": {"id": "x" * 300}}, "too long"),
        ({"input": [1]}, "input"),
        ({"metrics": "fast"}, "metrics"),
        ({"bundles": []}, "bundles"),
        ({"bundles": {str(n): {} for n in range(100)}}, "bundles"),
        ({"timestamp": 5}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-02-30T00:00:00Z"}, "timestamp"),
        ({"timestamp": "2026-02-01T00:00:00"}, "timestamp"),
        ({"erased": [5]}, "erased"),
        ({"masked": ["/input/x"] * 65}, "masked"),
        ({"custom": 1}, "custom"),
        ({"error": "broken"}, "error"),
    ],
)
def test_known_fields_of_a_wrong_type_are_refused_without_quoting_them(change: Object, text: str) -> None:
    with pytest.raises(EventError, match=text) as raised:
        read_event({**EVENT, **change})
    assert "yesterday" not in str(raised.value)


@pytest.mark.parametrize("document", [None, [], "x", 1, True, {}])
def test_what_is_no_event_is_refused(document: JSON) -> None:
    with pytest.raises(EventError):
        read_event(document)


def test_opas_own_id_serves_where_the_input_has_none() -> None:
    assert read_event({**EVENT, "input": {}}).id == EVENT["decision_id"]
    assert read_event({key: value for key, value in EVENT.items() if key != "input"}).input == {}


times = st.floats(1e9, 4e9)
records = st.builds(
    Record,
    id=st.text(min_size=1, max_size=40),
    at=times,
    input=st.sampled_from([CHAT.document(), {}, {"id": "other", "trace_id": "t"}]),
    result=st.sampled_from([YES, no("a"), None, {"allow": "broken"}]),
    allow=st.booleans(),
    reason=st.sampled_from(["", "policy_failed", "policy_unavailable", "no_word_of_ours"]),
    detail=st.text(max_size=40),
    revision=st.text(max_size=64),
    engine=st.sampled_from(["embedded", "opa", "remote", "cache", "credential"]),
    took_us=st.integers(0, 10**9),
    masked=st.lists(st.sampled_from(["caller.id", "source.ip", "a/b.c~d"]), unique=True).map(tuple),
    redirect=st.integers(0, 1),
    audit=st.booleans(),
)


@given(records)
def test_out_and_in_again_is_the_same_decision(one: Record) -> None:
    back = read_event(json.loads(json.dumps(event(one, LABELS))))
    assert replace(back, engine=one.engine, allow=one.allow, reason=one.reason) == one
    assert back.engine == "fleet"
    allowed = one.allow and one.result == YES
    assert back.allow is allowed
    if not allowed and one.reason:
        assert back.reason == one.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(EVENT)), json_values)
def test_any_value_in_any_field_is_read_or_refused(name: str, value: JSON) -> None:
    """Invariant: a Record, or EventError, and nothing else."""
    try:
        found = read_event({**EVENT, name: value})
    except EventError:
        return
    assert found.engine == "fleet"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000000Z"),
        (-5.0, "1970-01-01T00:00:00.000000000Z"),
        (float("nan"), "1970-01-01T00:00:00.000000000Z"),
        (1e300, "9999-12-31T23:59:59.000000000Z"),
        (0.9999999999, "1970-01-01T00:00:00.999999999Z"),
    ],
)
def test_times_that_no_calendar_has_are_clamped(at: float, text: str) -> None:
    assert rfc3339(at) == text


class _Over(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


@contextmanager
def real_opa(folder: Path) -> Iterator[tuple[Path, Path]]:
    """(socket, file of its log) of an OPA that holds the default policy without grants and logs its decisions."""
    for name, text in MODULES.items():
        (folder / name).write_text(text)
    (folder / "gwcfg").mkdir()
    (folder / "gwcfg" / "data.json").write_text(json.dumps(policy_data(())))
    sock, log = folder / "s", folder / "log"
    with log.open("wb") as out:
        options = ["--disable-telemetry", "--addr", f"unix://{sock}", "--set", "decision_logs.console=true"]
        opa = subprocess.Popen(
            [OPA, "run", "--server", *options, "--bundle", folder],
            stdout=out,
            stderr=out,
        )
        try:
            until_true(lambda: listens(sock))
            yield sock, log
        finally:
            opa.terminate()
            opa.wait(10)


def listens(path: Path) -> bool:
    """Whether somebody takes connections at `path`: the file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def until_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def decisions(log: Path) -> list[Object]:
    lines = [as_object(json.loads(line)) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    return [line for line in lines if as_str(line.get("msg")) == "Decision Log"]


def test_what_a_real_opa_logs_is_read() -> None:
    folder = Path(tempfile.mkdtemp(prefix="opa-"))  # pytest's own paths are too long for a socket
    try:
        with real_opa(folder) as (sock, log):
            for path in ("gateway/authz/decision", "gateway/authz/allow"):
                with closing(_Over(sock)) as asked:
                    asked.request("POST", f"/v1/data/{path}", json.dumps({"input": CHAT.document()}))
                    assert asked.getresponse().read()
            until_true(lambda: len(decisions(log)) == 2)
            ours, other = decisions(log)
    finally:
        shutil.rmtree(folder)
    found = read_event(ours)
    assert (found.id, found.allow, found.engine) == ("req-1", True, "fleet")
    assert found.input == CHAT.document()
    assert abs(found.at - time.time()) < 60
    assert 0 < found.took_us < 10_000_000
    assert as_list(as_object(found.result).get("grants")) == []
    with pytest.raises(EventError, match="path"):
        read_event(other)
    # What the gateway writes has no field in another place than OPA's.
    mine = event(found, {"id": "gw"})
    assert set(mine) - set(ours) <= {"custom", "trace_id", "bundles"}
    assert {name: type(mine[name]) for name in set(mine) & set(ours)} == {
        name: type(ours[name]) for name in set(mine) & set(ours)
    }
