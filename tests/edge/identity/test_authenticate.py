"""The one door: every header spelling, keys beside JWTs, and failures that count against their source only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.identity.authenticate import Authenticator
from edge.identity.directory import KeyDirectory, prepare
from edge.identity.grant import Grant
from edge.identity.lockout import Lockout, LockoutSettings
from edge.identity.token import mint
from policies.errors import Refusal
from policies.exchange import Client
from policies.principal import Principal
from policies.reasons import Reason
from tests.edge.identity.fixtures import PEPPERS, Clock, open_store

HERE = Client("10.0.0.1", 1, "local")
THERE = Client("10.0.0.2", 1, "local")
JANE = Principal("corp:jane", "jwt:corp:jane", "jane", "jwt", frozenset(), frozenset())
BAD_KEY = mint(lambda count: b"\x07" * count).text


@dataclass
class Verifier:
    """A double: knows `good`, remembers `known`, counts what it had to verify."""

    good: str = "a.good.token"
    known: set[str] = field(default_factory=set)
    verified: int = 0

    def cached(self, text: str) -> Principal | None:
        return JANE if text in self.known else None

    async def verify(self, text: str) -> Principal:
        self.verified += 1
        if text != self.good:
            raise Refusal(Reason.INVALID_CREDENTIAL, detail="jwt: bad")
        return JANE


class Door:
    """An authenticator with one stored key, a double for JWTs and a clock."""

    def __init__(self, folder: Path, verifier: Verifier | None) -> None:
        store = open_store(folder)
        self.key = store.create(Grant("ci"))[1].text
        directory = KeyDirectory(PEPPERS)
        self.clock = Clock(1000.0)
        directory.swap(prepare(store.load_all()), Clock()())
        settings = LockoutSettings(verify_rate=1, verify_burst=5, locked_verify_rate=1, locked_verify_burst=2)
        self.authenticator = Authenticator(
            directory, verifier, lockout=Lockout(settings), now=Clock(), monotonic=self.clock
        )

    async def ask(self, credential: str, client: Client = HERE) -> Principal:
        return await self.authenticator.authenticate({"authorization": f"Bearer {credential}"}, client)

    async def refused(self, headers: dict[str, str], client: Client = HERE) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.authenticator.authenticate(headers, client)
        return caught.value

    async def bad(self, credential: str = BAD_KEY, client: Client = HERE) -> Refusal:
        return await self.refused({"x-api-key": credential}, client)


@pytest.fixture
def verifier() -> Verifier:
    return Verifier()


@pytest.fixture
def door(tmp_path: Path, verifier: Verifier) -> Door:
    return Door(tmp_path, verifier)


async def test_a_key_in_every_spelling(door: Door) -> None:
    for headers in (
        {"authorization": f"Bearer {door.key}"},
        {"authorization": f"bEARER {door.key}"},
        {"x-api-key": door.key},
        {"authorization": f"Bearer {door.key}", "x-api-key": door.key},
    ):
        assert (await door.authenticator.authenticate(headers, HERE)).name == "ci"


async def test_what_is_missing_or_wrong(door: Door) -> None:
    assert (await door.refused({})).reason is Reason.MISSING_CREDENTIAL
    for headers in (
        {"authorization": f"Bearer {door.key}", "x-api-key": BAD_KEY},
        {"authorization": f"Basic {door.key}"},
        {"x-api-key": BAD_KEY},
        {"x-api-key": "sk-something-else"},
        {"x-api-key": "lgw_é"},
        {"x-api-key": "x" * 9000},
    ):
        refusal = await door.refused(headers)
        assert (refusal.reason, refusal.hint) == (Reason.INVALID_CREDENTIAL, None)


async def test_without_issuers_a_jwt_is_no_credential(tmp_path: Path) -> None:
    door = Door(tmp_path, None)
    assert (await door.bad("a.good.token")).reason is Reason.INVALID_CREDENTIAL
    assert (await door.ask(door.key)).name == "ci"


async def test_a_jwt_goes_to_the_verifier_and_a_key_never_does(door: Door, verifier: Verifier) -> None:
    assert await door.ask("a.good.token") is JANE
    await door.ask(door.key)
    await door.bad()
    assert verifier.verified == 1


async def test_the_twentieth_failure_in_a_minute_gets_429_and_a_time(door: Door) -> None:
    assert {(await door.bad()).reason for _ in range(19)} == {Reason.INVALID_CREDENTIAL}
    refusal = await door.bad()
    assert (refusal.reason, refusal.retry_after) == (Reason.TOO_MANY_FAILURES, 60.0)
    door.clock.at += 59
    assert (await door.bad()).retry_after == 1.0
    door.clock.at += 1
    assert (await door.bad()).reason is Reason.INVALID_CREDENTIAL


async def test_a_valid_key_works_from_a_locked_source(door: Door) -> None:
    """All containers of a Docker network come from one address: a broken one must not lock out the others."""
    for _ in range(1000):
        await door.bad()
    for _ in range(100):
        assert (await door.ask(door.key)).name == "ci"
    assert (await door.bad(client=THERE)).reason is Reason.INVALID_CREDENTIAL


async def test_missing_credentials_are_no_failed_guesses(door: Door) -> None:
    for _ in range(100):
        assert (await door.refused({})).reason is Reason.MISSING_CREDENTIAL
    assert (await door.bad()).reason is Reason.INVALID_CREDENTIAL


async def test_verifications_are_limited_before_they_are_done(door: Door, verifier: Verifier) -> None:
    for _ in range(5):
        await door.bad("a.bad.token")
    refusal = await door.bad("a.bad.token")
    assert (refusal.reason, refusal.retry_after) == (Reason.TOO_MANY_FAILURES, 1.0)
    assert verifier.verified == 5
    verifier.known.add("a.known.token")
    assert await door.ask("a.known.token") is JANE, "a token from the cache costs nothing"
    assert await door.ask("a.good.token", THERE) is JANE, "another source has its own budget"
    door.clock.at += 1
    assert await door.ask("a.good.token") is JANE


async def test_a_locked_source_may_still_bring_a_few_new_tokens(door: Door, verifier: Verifier) -> None:
    for _ in range(20):
        await door.bad()
    assert [await door.ask("a.good.token") for _ in range(2)] == [JANE, JANE]
    assert (await door.bad("a.good.token")).reason is Reason.TOO_MANY_FAILURES
    assert verifier.verified == 2


async def test_one_v6_host_cannot_change_its_address_to_go_on(door: Door) -> None:
    reasons = {(await door.bad(client=Client(f"2001:db8::{n:x}", 1, "lan"))).reason for n in range(40)}
    assert reasons == {Reason.INVALID_CREDENTIAL, Reason.TOO_MANY_FAILURES}


async def test_no_refusal_shows_the_credential(door: Door) -> None:
    for credential in (BAD_KEY, door.key + "x", "a.bad.token", "sk-secret"):
        refusal = await door.bad(credential)
        assert credential not in f"{refusal.text} {refusal.detail} {refusal!r}"
