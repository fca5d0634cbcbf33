"""What is known of callers: never waited for, asked for once, forgotten in time, bounded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge.origin.opening import open_origins, unknown
from edge.origin.origins import Memory, Origins
from edge.tasks import Tasks
from policies.origin import Container
from tests.engines.waiting import until

WEB, DB = Container("app-web-1", "app_default", "app", "web"), Container("db", "app_default")
IP = "172.18.0.2"


class Docker:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.names: dict[str, Container | Exception] = {}
        self.asked: list[str] = []
        self.answered = 0
        self.let = asyncio.Event()
        self.let.set()

    async def find(self, ip: str) -> Container | None:
        self.asked.append(ip)
        await self.let.wait()
        self.answered += 1
        found = self.names.get(ip)
        if isinstance(found, Exception):
            raise found
        return found


class Scene:
    def __init__(self, tasks: Tasks, memory: Memory | None = None) -> None:
        self.now = 100.0
        self.docker = Docker()
        self.of = Origins(self.docker.find, tasks, lambda: self.now, memory)

    async def ask(self, ip: str = IP, port: int = 0) -> Container | None:
        """What is said at once; then what was asked is answered."""
        before = len(self.docker.asked)
        said = self.of(ip, port)
        await asyncio.sleep(0)
        if len(self.docker.asked) > before:
            await until(lambda: self.docker.answered == len(self.docker.asked))
            await asyncio.sleep(0)
        return said


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.close()


@pytest.fixture
def scene(tasks: Tasks) -> Scene:
    return Scene(tasks)


async def test_the_first_request_is_not_held_up_and_the_next_one_knows(scene: Scene) -> None:
    scene.docker.names[IP] = WEB
    assert await scene.ask() is None
    assert [await scene.ask() for _ in range(3)] == [WEB] * 3
    assert scene.docker.asked == [IP]


async def test_an_address_is_asked_about_once_at_a_time(scene: Scene) -> None:
    scene.docker.let.clear()
    for _ in range(5):
        assert scene.of(IP) is None
        await asyncio.sleep(0)
    assert scene.docker.asked == [IP]
    scene.docker.names[IP] = WEB
    scene.docker.let.set()
    await until(lambda: scene.of(IP) == WEB)
    assert scene.docker.asked == [IP]


async def test_mapped_addresses_are_the_same_ones(scene: Scene) -> None:
    scene.docker.names[IP] = WEB
    assert await scene.ask(f"::ffff:{IP}") is None
    assert await scene.ask() == WEB
    assert scene.docker.asked == [IP]


async def test_a_name_is_asked_for_again_while_it_still_counts(scene: Scene) -> None:
    scene.docker.names[IP] = WEB
    await scene.ask()
    scene.docker.names[IP] = DB  # another container has the address now
    scene.now += 6
    assert await scene.ask() == WEB
    assert await scene.ask() == DB
    assert len(scene.docker.asked) == 2


async def test_an_old_name_counts_no_more(scene: Scene) -> None:
    scene.docker.names[IP] = WEB
    await scene.ask()
    scene.now += 16
    assert await scene.ask() is None
    assert await scene.ask() == WEB


async def test_a_new_connection_may_be_another_containers(scene: Scene) -> None:
    """Docker gives the address of one that stopped to the next one."""
    scene.docker.names[IP] = WEB
    assert [await scene.ask(port=1), await scene.ask(port=1)] == [None, WEB]
    scene.docker.names[IP] = DB
    scene.now += 0.1
    assert await scene.ask(port=2) == WEB  # so lately that nobody can have taken its place
    scene.now += 0.2
    assert await scene.ask(port=1) == WEB
    assert len(scene.docker.asked) == 1
    await scene.ask(port=2)
    assert scene.of(IP, 2) == DB
    assert len(scene.docker.asked) == 2


async def test_who_has_no_name_is_not_asked_about_each_time(scene: Scene) -> None:
    assert [await scene.ask() for _ in range(3)] == [None] * 3
    assert len(scene.docker.asked) == 1
    scene.now += 31
    scene.docker.names[IP] = WEB
    assert await scene.ask() is None
    assert await scene.ask() == WEB


async def test_a_failure_is_said_once_and_leaves_the_old_name_until_its_time(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.docker.names[IP] = WEB
    await scene.ask()
    scene.docker.names[IP] = TimeoutError()
    scene.now += 6
    with caplog.at_level(logging.INFO):
        assert await scene.ask() == WEB
        assert await scene.ask() == WEB
        scene.now += 6
        assert await scene.ask() == WEB
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert len(scene.docker.asked) == 3
    scene.now += 4
    assert scene.of(IP) is None


async def test_a_flood_of_addresses_is_bounded(tasks: Tasks) -> None:
    scene = Scene(tasks, Memory(addresses=10, at_once=4))
    scene.docker.let.clear()
    for i in range(50):
        assert scene.of(f"10.0.0.{i}") is None
        await asyncio.sleep(0)
    assert len(scene.docker.asked) == 4
    scene.docker.let.set()
    await until(lambda: scene.docker.answered == 4)
    for i in range(50):
        await scene.ask(f"10.0.1.{i}")
    assert len(scene.of._known) == 10
    assert scene.of._asking == set()


@pytest.mark.parametrize(
    ("text", "wanted", "looks"),
    [
        ("nameserver 127.0.0.11\n", True, True),
        ("nameserver 127.0.0.11\n", False, False),
        ("nameserver 127.0.0.53\n", True, False),
        (None, True, False),
    ],
)
async def test_only_where_dockers_dns_is_there_is_it_asked(
    tasks: Tasks, tmp_path: Path, text: str | None, wanted: bool, looks: bool
) -> None:
    resolv = tmp_path / "resolv.conf"
    if text is not None:
        resolv.write_text(text)
    origin: Callable[[str, int], Container | None] = open_origins(tasks, lambda: 0.0, wanted=wanted, resolv=resolv)
    assert (origin is not unknown) is looks
    assert origin("127.0.0.1", 1) is None
