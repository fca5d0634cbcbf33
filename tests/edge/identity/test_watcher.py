"""The watcher: other processes' writes count within a second, trouble with the database lets nobody in or out."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.identity.directory import Contents, KeyDirectory
from edge.identity.grant import Grant
from edge.identity.record import Snapshot
from edge.identity.state import StateError
from edge.identity.store.opening import Keys, open_keys
from edge.identity.token import Token
from edge.identity.watcher import KeySource, KeyWatcher
from policies.errors import Refusal

PROMISE = 1.0

OTHER_PROCESS = """
import json, sys
from pathlib import Path
from edge.identity.store.opening import open_keys
store = open_keys(Path(sys.argv[1])).store
print("ready", flush=True)
for line in sys.stdin:
    method, *arguments = json.loads(line)
    getattr(store, method)(*arguments)
    print("done", flush=True)
"""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path)


class Other:
    """A second real process that writes to the same database."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._expect("ready")

    def write(self, method: str, *arguments: object) -> float:
        """Let it call that method of its store; returns the instant it reported success."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self.process.stdin.flush()
        self._expect("done")
        return time.monotonic()

    def _expect(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture
def other(keys: Keys, tmp_path: Path) -> object:
    process = Other(tmp_path)
    yield process
    process.close()


@asynccontextmanager
async def watching(
    source: KeySource, directory: KeyDirectory, on_ended: Callable[[frozenset[str]], None], poll: float = 0.2
) -> AsyncIterator[KeyWatcher]:
    watcher = KeyWatcher(source, directory, on_ended, now=time.time, poll=poll)
    watcher.load()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(watcher.run())
        yield watcher
        running.cancel()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for `condition`; returns the monotonic instant it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.005)
    return time.monotonic()


def works(directory: KeyDirectory, token: Token) -> bool:
    try:
        directory.authenticate(token.text, time.time())
    except Refusal:
        return False
    return True


@pytest.mark.parametrize(("method", "more"), [("revoke", ()), ("delete", ()), ("rotate", (0,))])
async def test_what_another_process_ends_is_cut_within_a_second(
    keys: Keys, other: Other, method: str, more: tuple[object, ...]
) -> None:
    _, token = keys.store.create(Grant("ci"))
    directory, ended = KeyDirectory(keys.peppers), list[frozenset[str]]()
    async with watching(keys.store, directory, ended.append):
        assert works(directory, token)
        written = await asyncio.to_thread(other.write, method, token.id, *more)
        cut = await until(lambda: bool(ended))
        assert cut - written <= PROMISE
        assert ended == [{token.id}]
        assert not works(directory, token)


async def test_a_key_made_beside_a_running_gateway_works_within_a_second(keys: Keys) -> None:
    directory = KeyDirectory(keys.peppers)
    async with watching(keys.store, directory, lambda _: None):
        _, token = await asyncio.to_thread(keys.store.create, Grant("new"))
        written = time.monotonic()
        assert await until(lambda: works(directory, token)) - written <= PROMISE


async def test_expiry_is_cut_within_a_second(keys: Keys) -> None:
    end = time.time() + 2.0
    record, token = keys.store.create(Grant("short", expires_at=end))
    directory, ended = KeyDirectory(keys.peppers), list[frozenset[str]]()
    async with watching(keys.store, directory, ended.append):
        assert works(directory, token)
        await until(lambda: bool(ended))
        assert 0 <= time.time() - end <= PROMISE
    assert ended == [{record.id}]


class Broken:
    """A source that can be made to fail or to hang."""

    def __init__(self, source: KeySource) -> None:
        self.source = source
        self.fails = False
        self.asked = 0
        self.free = threading.Event()
        self.free.set()

    def revision(self) -> int:
        self.asked += 1
        self.free.wait(30)
        if self.fails:
            raise StateError("the database failed", "check it")
        return self.source.revision()

    def load_all(self) -> Snapshot:
        if self.fails:
            raise StateError("the database failed", "check it")
        return self.source.load_all()


async def test_trouble_keeps_the_known_keys_refuses_others_and_is_logged_once(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = keys.store.create(Grant("ci"))
    source, directory, ended = Broken(keys.store), KeyDirectory(keys.peppers), list[frozenset[str]]()
    async with watching(source, directory, ended.append, poll=0.01):
        source.fails = True
        _, unknown = await asyncio.to_thread(keys.store.create, Grant("new"))
        seen = source.asked
        await until(lambda: source.asked > seen + 3)
        assert works(directory, token)
        assert not works(directory, unknown)
        assert ended == []
        source.fails = False
        await until(lambda: works(directory, unknown))
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message[:22] for message in warnings] == ["reading the keys fails", "reading the keys works"]
    assert not any(record.exc_info for record in caplog.records), "a StateError explains itself"


async def test_a_database_that_hangs_does_not_keep_expired_keys_alive(keys: Keys) -> None:
    record, _ = keys.store.create(Grant("short", expires_at=time.time() + 2.0))
    source, directory, ended = Broken(keys.store), KeyDirectory(keys.peppers), list[frozenset[str]]()
    async with watching(source, directory, ended.append, poll=0.02):
        source.free.clear()
        try:
            await until(lambda: bool(ended))
        finally:
            source.free.set()
    assert ended == [{record.id}]


async def test_a_callback_that_fails_does_not_end_the_watch(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    ids = [keys.store.create(Grant(name))[0].id for name in ("a", "b")]
    ended: list[frozenset[str]] = []

    def fail(which: frozenset[str]) -> None:
        ended.append(which)
        raise RuntimeError("a fault elsewhere")

    async with watching(keys.store, KeyDirectory(keys.peppers), fail, poll=0.01):
        await asyncio.to_thread(keys.store.revoke, ids[0])
        await until(lambda: {ids[0]} in ended)
        await asyncio.to_thread(keys.store.revoke, ids[1])
        await until(lambda: {ids[1]} in ended)
    assert "cutting the streams" in caplog.text


class Faulty(KeyDirectory):
    """A directory with a fault in one method, as long as `broken` says so."""

    broken = ""

    def swap(self, contents: Contents, now: float) -> frozenset[str]:
        return self._or_fail("swap") or super().swap(contents, now)

    def expired(self, now: float) -> frozenset[str]:
        return self._or_fail("expired") or super().expired(now)

    @property
    def revision(self) -> int:
        return super().revision + len(self._or_fail("revision"))

    def _or_fail(self, method: str) -> frozenset[str]:
        if self.broken == method:
            raise RuntimeError("a fault of ours")
        return frozenset()


@pytest.mark.parametrize(
    ("broken", "said"),
    [("swap", "reading the keys"), ("expired", "watching the keys' expiry"), ("revision", "reading the keys")],
)
async def test_no_fault_of_ours_ends_the_watch(
    keys: Keys, caplog: pytest.LogCaptureFixture, broken: str, said: str
) -> None:
    record, token = keys.store.create(Grant("ci"))
    source, directory, ended = Broken(keys.store), Faulty(keys.peppers), list[frozenset[str]]()
    async with watching(source, directory, ended.append, poll=0.01):
        directory.broken = broken
        await asyncio.to_thread(keys.store.revoke, record.id)
        await until(lambda: said in caplog.text)
        directory.broken = ""
        await until(lambda: bool(ended))
        assert not works(directory, token)
        await until(lambda: "works again" in caplog.text)
    assert ended == [{record.id}]
    messages = [(each.getMessage().partition(",")[0], bool(each.exc_info)) for each in caplog.records]
    logged = [each for each in messages if each[0].startswith(said)]
    assert logged == [(f"{said} fails", True), (f"{said} works again", False)], "once each"


def test_a_first_load_that_fails_fails_the_start(keys: Keys) -> None:
    source = Broken(keys.store)
    source.fails = True
    with pytest.raises(StateError):
        KeyWatcher(source, KeyDirectory(keys.peppers), lambda _: None, now=time.time).load()
