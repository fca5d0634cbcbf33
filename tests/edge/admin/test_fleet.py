"""Real OPAs with the configuration of deploy/opa poll a real admin listener."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from edge.policy.signing_key import SigningKey
from edge.policy.store_types import Instance
from policies.json import as_object
from tests.edge.admin.harness import PATIENCE, Admin, admin, opa, policy, until


async def instance(door: Admin, *, revision: str = "", code: str | None = None) -> Instance:
    """Wait until one OPA says that it runs `revision`, or has trouble `code`."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for each in await door.instances.all():
                if revision in {"", each.revision} and code in {None, each.code}:
                    return each
            await asyncio.sleep(0.005)


@pytest.mark.alone
async def test_what_is_published_is_enforced_within_a_second(tmp_path: Path) -> None:
    async with admin(tmp_path) as door, opa(door.url, door.key, door.signing.signer().public_pem) as fleet:
        await fleet.says("one")
        for name in ("two", "three", "four"):
            await until(lambda: any(exchange.route.endswith(".tar.gz") for exchange in door.waiting()))
            begin = monotonic()
            door.active.publish(policy(name))
            await fleet.says(name)
            assert monotonic() - begin < 1.0
        seen = await instance(door, revision=door.active.revision, code="")
        assert seen.labels["app"] == "llm-gateway-policy"


@pytest.mark.alone
async def test_several_opas_follow_at_once(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        public = door.signing.signer().public_pem
        async with opa(door.url, door.key, public) as one, opa(door.url, door.key, public) as other:
            await asyncio.gather(one.says("one"), other.says("one"))
            await until(lambda: len(door.waiting()) == 2)
            begin = monotonic()
            door.active.publish(policy("two"))
            await asyncio.gather(one.says("two"), other.says("two"))
            assert monotonic() - begin < 1.0
            await until(lambda: len(door.waiting()) == 2)
            document = await door.document("/policy/status")
            assert document["waiting"] == 2


async def test_a_bundle_of_another_key_is_not_loaded_and_said_so(tmp_path: Path) -> None:
    async with admin(tmp_path / "gateway") as door, opa(door.url, door.key, door.signing.signer().public_pem) as fleet:
        await fleet.says("one")
        before = door.active.revision
        (tmp_path / "thief").mkdir()
        door.signing._signer = SigningKey(tmp_path / "thief").signer()
        door.active.publish(policy("evil"))
        seen = await instance(door, code="bundle_error")
        assert seen.revision == before
        assert "signature" in seen.message
        assert as_object(await fleet.decides())["revision"] == "one"


async def test_an_opa_that_trusts_another_key_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    public = SigningKey(tmp_path / "other").signer().public_pem
    async with admin(tmp_path / "gateway") as door, opa(door.url, door.key, public) as fleet:
        seen = await instance(door, code="bundle_error")
        assert (seen.revision, await fleet.decides()) == ("", None)


async def test_decision_logs_arrive(tmp_path: Path) -> None:
    async with admin(tmp_path) as door, opa(door.url, door.key, door.signing.signer().public_pem) as fleet:
        await fleet.says("one")
        await until(lambda: any("result" in event for event in door.heard.events))
        event = next(event for event in door.heard.events if "result" in event)
        assert event["path"] == "gateway/authz/decision"
        assert event["input"] == {"model": "m"}
        assert event["result"] == {"allow": True, "revision": "one"}
        assert event["bundles"] == {"gateway": {"revision": door.active.revision}}


async def test_an_opa_starts_with_the_last_policy_when_the_gateway_is_away(tmp_path: Path) -> None:
    async with admin(tmp_path / "gateway") as door:
        public, kept = door.signing.signer().public_pem, tmp_path / "kept"
        async with opa(door.url, door.key, public, home=kept) as fleet:
            await fleet.says("one")
            await until(lambda: list(kept.rglob("bundle.tar.gz")))
    async with opa(door.url, door.key, public, home=kept) as fleet:
        await fleet.says("one")


async def test_a_key_without_the_scope_gets_no_policy(tmp_path: Path) -> None:
    async with admin(tmp_path) as door, opa(door.url, door.plain, door.signing.signer().public_pem) as fleet:
        await until(lambda: any(line.get("reason") == "scope_missing" for line in door.lines.written))
        assert await fleet.decides() is None
