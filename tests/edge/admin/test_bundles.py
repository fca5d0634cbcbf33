"""`GET /policy/bundle.tar.gz` as HTTP: ETags, waiting, who may wait, and how often one may come back."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path
from time import monotonic

import pytest

from edge.admin.bundles import tags_of, wait_of
from edge.admin.pacing import BURST
from edge.identity.grant import Grant
from policies.archive import archive
from tests.edge.admin.harness import Admin, admin, policy, until
from tests.edge.listener.harness import Answer

BUNDLE = "/policy/bundle.tar.gz"
LONG = {"Prefer": "modes=snapshot,delta;wait=30"}
LONG_POLL_TYPE = "application/vnd.openpolicyagent.bundles"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", None),
        ("modes=snapshot,delta", None),
        ("modes=snapshot,delta;wait=10", 10.0),
        ("wait=0", 0.0),
        ("respond-async, WAIT = 7", 7.0),
        ("wait=7;x", 7.0),
        ("await=7", None),
        ("wait=-7", None),
        ("wait=7.5", None),
        ("wait=1234567", None),
        ("wait=", None),
    ],
)
def test_what_a_caller_offers_to_wait(prefer: str, seconds: float | None) -> None:
    assert wait_of(prefer) == seconds


def test_entity_tags_are_compared_weakly() -> None:
    assert tags_of('"a", W/"b" ,"c') == {'"a"', '"b"', '"c'}


async def first(door: Admin) -> Answer:
    answer = await door.ask("GET", BUNDLE)
    assert answer.status == 200
    return answer


async def wait_for(door: Admin, etag: str, *, key: str = "") -> asyncio.Task[Answer]:
    """A long poll that the listener holds by now."""
    held = len(door.waiting())
    caller = await door.send("GET", BUNDLE, {**LONG, "If-None-Match": etag}, key=key)
    task = asyncio.ensure_future(caller.answer())
    await until(lambda: len(door.waiting()) == held + 1)
    return task


async def test_the_body_is_the_signed_archive_of_the_policy_in_force(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        answer = await first(door)
        assert answer.body == archive(door.active.bundle, door.signing.signer())
        assert answer.headers["content-type"] == "application/gzip"
        assert answer.headers["etag"] == f'"{door.active.revision}.{door.signing.signer().kid}"'
        assert answer.headers["cache-control"] == "private, no-cache"
        with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
            assert "/.signatures.json" in tar.getnames()
            assert not [name for name in tar.getnames() if "test" in name]


async def test_the_key_to_check_it_with_is_there_too(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        answer = await door.ask("GET", "/policy/public-key.pem")
        assert answer.body == door.signing.signer().public_pem
        assert answer.headers["x-key-id"] == door.signing.signer().kid
        assert b"PRIVATE" not in answer.body


async def test_who_has_it_gets_304_at_once_unless_it_offers_to_wait(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        for value in (etag, f"W/{etag}", f'"x", {etag}'):
            answer = await door.ask("GET", BUNDLE, {"If-None-Match": value})
            assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
            assert answer.headers["content-type"] == "application/gzip"
        for value in ('"x"', "", f'{etag[:-1]}x"'):
            assert (await door.ask("GET", BUNDLE, {"If-None-Match": value})).status == 200


async def test_who_has_nothing_does_not_wait(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        answer = await door.ask("GET", BUNDLE, LONG)
        assert (answer.status, answer.headers["content-type"]) == (200, LONG_POLL_TYPE)


async def test_a_long_poll_is_answered_the_moment_the_policy_changes(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        polls = [await wait_for(door, etag) for _ in range(20)]
        begin = monotonic()
        door.active.publish(policy("two"))
        answers = await asyncio.gather(*polls)
        assert monotonic() - begin < 1.0
        assert {(answer.status, answer.headers["content-type"]) for answer in answers} == {(200, LONG_POLL_TYPE)}
        assert {answer.body for answer in answers} == {archive(policy("two"), door.signing.signer())}
        assert door.waiting() == []


async def test_a_long_poll_ends_with_304(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        begin = monotonic()
        answer = await door.ask("GET", BUNDLE, {"Prefer": "wait=1", "If-None-Match": etag})
        assert (answer.status, answer.headers["content-type"], answer.headers["etag"]) == (304, LONG_POLL_TYPE, etag)
        assert 1.0 <= monotonic() - begin < 4.0
        answer = await door.ask("GET", BUNDLE, {"Prefer": "wait=0", "If-None-Match": etag})
        assert (answer.status, answer.headers["content-type"]) == (304, LONG_POLL_TYPE)


async def test_a_policy_that_went_and_came_back_is_no_change(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        poll = await wait_for(door, etag)
        door.active.publish(policy("two"))
        door.active.publish(policy("one"))
        door.active.publish(policy("three"))
        door.active.publish(policy("one"))
        await asyncio.sleep(0)
        door.active.publish(policy("four"))
        answer = await poll
        assert answer.status == 200
        assert answer.body == archive(policy("four"), door.signing.signer())


async def test_another_key_is_another_tag(tmp_path: Path) -> None:
    async with admin(tmp_path / "a") as one, admin(tmp_path / "b") as other:
        etag = (await first(one)).headers["etag"]
        assert one.active.revision == other.active.revision
        assert (await other.ask("GET", BUNDLE, {**LONG, "If-None-Match": etag})).status == 200


async def test_no_more_wait_than_may(tmp_path: Path) -> None:
    async with admin(tmp_path, most_waiting=2) as door:
        etag = (await first(door)).headers["etag"]
        polls = [await wait_for(door, etag) for _ in range(2)]
        answer = await door.ask("GET", BUNDLE, {**LONG, "If-None-Match": etag})
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
        assert (await door.document("/policy/status"))["waiting"] == 2
        door.active.publish(policy("two"))
        assert {poll.status for poll in await asyncio.gather(*polls)} == {200}
        assert (await door.document("/policy/status"))["waiting"] == 0


async def test_a_caller_that_leaves_gives_its_place_back(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        caller = await door.send("GET", BUNDLE, {**LONG, "If-None-Match": etag})
        await until(door.waiting)
        await caller.close()
        await until(lambda: not door.waiting())
        await until(lambda: door.lines.written[-1].get("reason") == "client_gone")
        assert (await door.document("/policy/status"))["waiting"] == 0


async def test_a_revoked_key_ends_its_long_poll(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        poll = await wait_for(door, etag)
        (record,) = [each for each in door.store.load_all().records if each.grant.name == "boss"]
        door.store.revoke(record.id)
        door.reload_keys()
        answer = await poll
        assert (answer.status, door.waiting()) == (401, [])


async def test_a_key_that_lost_the_scope_gets_nothing_when_it_is_woken(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        etag = (await first(door)).headers["etag"]
        poll = await wait_for(door, etag)
        (record,) = [each for each in door.store.load_all().records if each.grant.name == "boss"]
        door.store.update(record.id, lambda grant: Grant(grant.name))
        door.reload_keys()
        door.active.publish(policy("two"))
        assert (await poll).status == 403


async def test_a_client_that_hammers_is_slowed_and_then_refused(tmp_path: Path) -> None:
    async with admin(tmp_path, monotonic=lambda: 0.0) as door:  # with its clock standing still, the burst is exact
        request = f"GET {BUNDLE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {door.key}\r\n\r\n".encode()
        caller = await door.call()
        for _ in range(BURST):
            await caller.send(request)
            assert (await caller.answer()).status == 200
        begin = monotonic()
        await caller.send(request)
        assert (await caller.answer()).status == 200
        assert 0.4 < monotonic() - begin < 4.0
        held = [await door.send("GET", BUNDLE) for _ in range(20)]
        answers = [asyncio.ensure_future(each.answer()) for each in held]
        await until(lambda: sum(each.done() for each in answers) >= 11)
        assert {each.result().status for each in answers if each.done()} >= {429}
        door.active.publish(policy("two"))  # nobody who waits is kept from a new policy
        statuses = [answer.status for answer in await asyncio.gather(*answers)]
        assert (statuses.count(200), statuses.count(429)) == (9, 11)
        assert min(int(answer.result().headers.get("retry-after", "9")) for answer in answers) > 5
