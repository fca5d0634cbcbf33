"""A cut turns into a refusal, once, and only for whom it is meant."""

from __future__ import annotations

import asyncio

import pytest

from edge.inflight import Inflight
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason


def exchange(key_id: str, expires_at: float | None = None) -> Exchange:
    principal = Principal("o", key_id, "n", "key", frozenset(), DEFAULT_SCOPES, expires_at=expires_at)
    return Exchange("0" * 32, Client("127.0.0.1", 1, "local"), principal=principal)


async def serve(inflight: Inflight, item: Exchange) -> None:
    with inflight.scope(item):
        await asyncio.Event().wait()


async def running(inflight: Inflight, *items: Exchange) -> list[asyncio.Task[None]]:
    tasks = [asyncio.ensure_future(serve(inflight, item)) for item in items]
    async with asyncio.timeout(5):
        while len(inflight) < len(items):
            await asyncio.sleep(0)
    return tasks


async def test_only_streams_of_the_revoked_key_are_cut() -> None:
    inflight = Inflight()
    revoked, other = await running(inflight, exchange("k1"), exchange("k2"))
    assert inflight.cut_keys({"k1"}) == 1
    with pytest.raises(Refusal) as caught:
        await revoked
    assert caught.value.reason is Reason.CREDENTIAL_REVOKED
    assert not other.done()
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert len(inflight) == 0


async def test_an_expired_credential_is_cut_at_its_instant() -> None:
    inflight = Inflight()
    (task,) = await running(inflight, exchange("k1", expires_at=100.0))
    assert inflight.cut_expired(99.9) == 0
    assert inflight.cut_expired(100.0) == 1
    with pytest.raises(Refusal):
        await task


async def test_a_caller_that_leaves_while_being_cut_has_left() -> None:
    inflight = Inflight()
    (task,) = await running(inflight, exchange("k1"))
    inflight.cut_keys({"k1"})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_requests_without_a_principal_are_not_touched() -> None:
    inflight = Inflight()
    item = Exchange("0" * 32, Client("127.0.0.1", 1, "local"))
    (task,) = await running(inflight, item)
    assert inflight.cut_keys({"k1"}) == 0
    assert inflight.cut_expired(1e12) == 0
    task.cancel()
