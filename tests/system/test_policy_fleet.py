"""A real OPA with the configuration of deploy/opa edited a real gateway: it decides the same, and changes with it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, chat
from tests.system.conftest import Launch
from tests.system.opa import Follower, follower
from tests.system.process import ROOT, Gateway, Key, until
from tests.system.wire import loads

CLOSED = """package gateway.authz

deny contains {"code": "closed", "message": "closed for today", "public": true} if true
"""
NOBODY: Object = {"v": 1, "operation": "chat"}


def sync_key(gateway: Gateway) -> Key:
    return gateway.create_key("fleet", "--scope", "policy:sync")


def admin_key(gateway: Gateway) -> Key:
    return gateway.create_key("boss", "--scope", "admin")


def recorded(gateway: Gateway, request_id: str) -> Object:
    """What the gateway's decision log holds of one request."""
    folder = gateway.folder / "home" / "decisions"

    def found() -> list[Object]:
        # The last line may be half written.
        lines = (line for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().split(b"\n")[:-1])
        return [document for document in map(loads, lines) if document.get("id") == request_id]

    until(lambda: bool(found()), 5.0, f"{request_id} is in the decision log")
    return found()[0]


def verdict(decision: Object) -> tuple[JSON, list[str], JSON]:
    codes = sorted(as_str(as_object(reason)["code"]) for reason in as_list(decision.get("reasons")))
    return decision.get("allow"), codes, as_object(decision.get("obligations")).get("max_tokens")


@pytest.fixture
def granted(launch: Launch) -> Gateway:
    """A gateway whose configuration grants something to group `dev`."""
    grants: list[JSON] = [{"id": "dev", "groups": ["dev"], "models": [ASKED], "max_tokens": 7}]
    return launch(policy={"engine": "embedded", "grants": grants})


def test_it_decides_as_the_gateway_does(granted: Gateway, tmp_path: Path) -> None:
    with follower(granted, sync_key(granted), tmp_path / "opa") as opa:
        until(lambda: opa.decides(NOBODY) is not None, 15.0, "OPA has the policy")
        for group, allowed in (("dev", True), ("ops", False)):
            key = granted.create_key(group, "--group", group)
            answer = granted.post(CHAT, chat(), key.bearer)
            assert (answer.status == 200) is allowed
            record = recorded(granted, answer.head.get("x-request-id") or "none")
            decided = opa.decides(as_object(record["input"]))
            assert decided is not None
            assert verdict(decided) == verdict(as_object(record["result"]))
            assert decided["allow"] is allowed


def test_the_gateway_shows_which_revision_runs_where(granted: Gateway, tmp_path: Path) -> None:
    admin = admin_key(granted)

    def instances() -> list[JSON]:
        document = loads(granted.get("/policy/status", admin.bearer, admin=True).body)
        assert document["source"] == "default"
        return [each for each in as_list(document["instances"]) if as_object(each)["current"] is True]

    with follower(granted, sync_key(granted), tmp_path / "opa"):
        until(lambda: bool(instances()), 15.0, "the instance runs the gateway's revision")
    (instance,) = instances()
    assert as_object(as_object(instance)["labels"])["app"] == "llm-gateway-policy"
    assert as_object(instance)["code"] == ""


def test_a_change_of_the_folder_is_enforced_there(gateway: Gateway, launch: Launch, tmp_path: Path) -> None:
    shown = loads(gateway.get("/policy", admin_key(gateway).bearer, admin=True).body)
    source = tmp_path / "policy"
    shutil.copytree(
        ROOT / "policies" / "rego", source, ignore=shutil.ignore_patterns("*.py", "__pycache__", "examples")
    )
    (source / "data.json").write_text(json.dumps(shown["data"]))
    edited = launch(policy={"engine": "embedded", "dir": str(source)})
    key = edited.create_key("dev")
    answer = edited.post(CHAT, chat(), key.bearer)
    assert answer.status == 200
    given = as_object(recorded(edited, answer.head.get("x-request-id") or "none")["input"])
    with follower(edited, sync_key(edited), tmp_path / "opa") as opa:
        until(lambda: as_object(opa.decides(given)).get("allow") is True, 15.0, "OPA allows what the gateway does")
        (source / "closed.rego").write_text(CLOSED)
        until(lambda: edited.post(CHAT, chat(), key.bearer).status == 403, 15.0, "the gateway enforces the change")
        until(lambda: verdict(as_object(opa.decides(given)))[:2] == (False, ["closed"]), 15.0, "OPA enforces it")


def test_what_is_applied_is_enforced_there(launch: Launch, tmp_path: Path) -> None:
    gateway = launch(policy={"engine": "embedded"})
    key, draft = gateway.create_key("dev"), tmp_path / "draft"
    assert gateway.run("policy", "init", str(draft)).code == 0
    (draft / "closed.rego").write_text(CLOSED.replace("if true", 'if input.caller.id == "dev"'))
    answer = gateway.post(CHAT, chat(), key.bearer)
    given = as_object(recorded(gateway, answer.head.get("x-request-id") or "none")["input"])
    with follower(gateway, sync_key(gateway), tmp_path / "opa") as opa:
        until(lambda: as_object(opa.decides(given)).get("allow") is True, 15.0, "OPA allows what the gateway does")
        applied = gateway.run("policy", "apply", str(draft), "--note", "closed", "--config", str(gateway.file))
        assert applied.code == 0, applied.err
        until(lambda: verdict(as_object(opa.decides(given)))[:2] == (False, ["closed"]), 15.0, "OPA enforces it")
        assert gateway.post(CHAT, chat(), key.bearer).status == 403


def test_what_is_applied_is_enforced_there_within_a_second(launch: Launch, tmp_path: Path) -> None:
    """From the entry in the history to OPA's first answer by it; the best of a few: machines under test are busy."""
    gateway = launch(policy={"engine": "embedded"})
    asked = NOBODY | {"caller": {"id": "nobody"}}

    def seconds(opa: Follower, code: str) -> float:
        draft = tmp_path / code
        assert gateway.run("policy", "init", str(draft)).code == 0
        (draft / "closed.rego").write_text(f"""package gateway.authz

deny contains {{"code": "{code}", "message": "", "public": false}} if input.caller.id == "nobody"
""")
        applied = gateway.run("policy", "apply", str(draft), "--note", code, "--json", "--config", str(gateway.file))
        assert applied.code == 0, applied.err
        until(lambda: code in verdict(as_object(opa.decides(asked)))[1], 15.0, "OPA enforces it")
        return time.time() - float(str(loads(applied.out)["at"]))

    with follower(gateway, sync_key(gateway), tmp_path / "opa") as opa:
        until(lambda: opa.decides(asked) is not None, 15.0, "OPA has the policy")
        took: list[float] = []
        while not took or (min(took) >= 1.0 and len(took) < 10):
            took.append(seconds(opa, f"change{len(took)}"))
    assert min(took) < 1.0, took


def test_an_opa_that_trusts_another_key_runs_nothing(granted: Gateway, launch: Launch, tmp_path: Path) -> None:
    admin, other = admin_key(granted), launch(policy={"engine": "embedded"})
    stranger = other.get("/policy/public-key.pem", sync_key(other).bearer, admin=True).body

    def troubled() -> bool:
        document = loads(granted.get("/policy/status", admin.bearer, admin=True).body)
        return any(as_object(each)["code"] == "bundle_error" for each in as_list(document["instances"]))

    with follower(granted, sync_key(granted), tmp_path / "opa", stranger) as opa:
        until(troubled, 15.0, "OPA says that it could not verify the bundle")
        assert opa.decides(NOBODY) is None


def test_the_policy_is_for_admins_only(gateway: Gateway, key: Key) -> None:
    for path in ("/policy", "/policy/status", "/policy/bundle.tar.gz", "/policy/public-key.pem", "/policy/data"):
        assert gateway.get(path, admin=True).status == 401
        refused = gateway.get(path, key.bearer, admin=True)
        assert (refused.status, refused.error["code"]) == (403, "scope_missing")
    # The data plane has no such routes, for anyone.
    assert gateway.get("/policy", key.bearer).status == 404


def test_the_signing_key_is_private_and_shown_nowhere(granted: Gateway) -> None:
    admin = admin_key(granted)
    public = granted.get("/policy/public-key.pem", admin.bearer, admin=True)
    assert public.body.startswith(b"-----BEGIN PUBLIC KEY-----")
    file = granted.folder / "home" / "policy-signing.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    secret = file.read_text().splitlines()[1]
    assert secret not in granted.logged()
    assert admin.secret not in granted.logged()
