"""A signal on its way: batches, back-off, drops; a collector that misbehaves costs bounded memory and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from observability.otlp.backlog import Backlog, Latest, Source
from observability.otlp.delivery import LONGEST, Answer, pause, read_retry_after
from observability.otlp.lane import Lane, Signal

OK = Answer(200)
GONE = Answer(failure="ClientConnectorError")


class FakeSender:
    """Answers from a list, the last one for ever; `None` hangs."""

    def __init__(self, *answers: Answer | None) -> None:
        self._answers = list(answers) or [OK]
        self.bodies: list[str] = []
        self.came = asyncio.Event()

    async def send(self, path: str, body: bytes, content_type: str) -> Answer:
        assert (path, content_type) == ("/v1/things", "text/plain")
        self.bodies.append(gzip.decompress(body).decode())
        self.came.set()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await asyncio.Event().wait()
            raise AssertionError
        return answer

    async def close(self) -> None:
        """Nothing is open."""


def encode(items: Iterable[str]) -> bytes:
    text = ",".join(items)
    if "bad" in text:
        raise ValueError(text)
    return text.encode()


def lane(source: Source[str], sender: FakeSender, *, interval: float = 0.005, patience: float = 100.0) -> Lane[str]:
    clock = asyncio.get_running_loop().time
    signal = Signal("things", encode, "text/plain", patience)
    return Lane(signal, source, sender, interval=interval, clock=clock, random=lambda: 0.0)


def backlog(*items: str, capacity: int = 4, batch: int = 2) -> Backlog[str]:
    made: Backlog[str] = Backlog(capacity, batch)
    for item in items:
        made.put(item)
    return made


@asynccontextmanager
async def running(one: Lane[str]) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.run())
        yield task
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Back-off without its time: what would have been waited for."""
    waits: list[float] = []
    real: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds >= 0.25:
            waits.append(seconds)
        await real(0 if seconds >= 0.25 else seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waits


async def test_sends_what_there_is_oldest_first_in_batches() -> None:
    sender, source = FakeSender(), backlog("a", "b", "c")
    async with running(one := lane(source, sender)):
        await until(lambda: one.sent == 3)
    assert sender.bodies == ["a,b", "c"]


async def test_a_whole_batch_does_not_wait_for_the_interval() -> None:
    sender, source = FakeSender(), backlog()
    one = lane(source, sender, interval=1000.0)
    source.wake = one.wake
    async with running(one):
        source.put("a")
        await asyncio.sleep(0)
        assert sender.bodies == []
        source.put("b")
        await until(lambda: sender.bodies == ["a,b"])


async def test_what_does_not_fit_is_dropped_and_counted() -> None:
    source = backlog(*"abcdefgh")
    assert (source.waiting, source.dropped) == (4, 4)
    assert await source.take() == ["a", "b"]
    assert await source.take() == ["c", "d"]
    assert await source.take() == []


async def test_tries_again_what_may_be_tried_again(no_waiting: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sender = FakeSender(GONE, Answer(503), Answer(429, retry_after=7.0), OK)
    async with running(one := lane(backlog("a"), sender)):
        await until(lambda: one.sent == 1)
    assert sender.bodies == ["a"] * 4
    assert one.lost == 0
    assert no_waiting == [0.5, 1.0, 7.0]
    assert [record.getMessage() for record in caplog.records] == [
        "the collector does not take things (ClientConnectorError)",
        "the collector takes things again",
    ]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 415, 500])
async def test_what_may_not_be_tried_again_is_lost_and_the_next_goes_on(status: int) -> None:
    sender = FakeSender(Answer(status), OK)
    async with running(one := lane(backlog("a", "b", "c"), sender)):
        await until(lambda: one.sent == 1)
    assert sender.bodies == ["a,b", "c"]
    assert one.lost == 2


async def test_gives_a_batch_up_after_a_while(no_waiting: list[float]) -> None:
    sender = FakeSender(Answer(503))
    async with running(one := lane(backlog("a"), sender, patience=0.2)):
        await until(lambda: one.lost == 1)
    assert no_waiting == []


async def test_a_collector_that_hangs_holds_one_batch_and_a_full_backlog() -> None:
    sender, source = FakeSender(None), backlog("a", "b")
    async with running(lane(source, sender)):
        await sender.came.wait()
        for number in range(1_000):
            source.put(str(number))
        assert (source.waiting, source.dropped) == (4, 996)


async def test_what_cannot_be_encoded_is_lost_and_the_lane_goes_on() -> None:
    sender = FakeSender()
    async with running(one := lane(backlog("bad", "a", "b"), sender)):
        await until(lambda: one.sent == 1)
    assert (sender.bodies, one.lost) == (["b"], 2)


async def test_the_last_flush_sends_what_was_on_its_way_and_all_that_waits() -> None:
    sender, source = FakeSender(None, OK), backlog("a", "b")
    one = lane(source, sender)
    async with running(one):
        await sender.came.wait()
        for item in "cdef":
            source.put(item)
    await one.flush(5.0)
    assert sender.bodies == ["a,b", "a,b", "c,d", "e,f"]
    assert (one.sent, one.lost) == (6, 0)


@pytest.mark.parametrize("answer", [None, GONE, Answer(503)])
async def test_the_last_flush_has_an_end_and_counts_what_is_lost(answer: Answer | None) -> None:
    one = lane(backlog("a", "b", "c"), FakeSender(answer))
    await one.flush(0.05)
    assert (one.sent, one.lost) == (0, 3)


async def test_nothing_is_sent_where_there_is_nothing() -> None:
    sender = FakeSender()
    one = lane(backlog(), sender)
    async with running(one):
        await asyncio.sleep(0.02)
    await one.flush(1.0)
    assert sender.bodies == []


async def test_what_is_cumulative_is_read_anew_each_time() -> None:
    numbers = iter(range(1_000))
    sender = FakeSender(Answer(400), OK)
    one = lane(Latest(lambda: [str(next(numbers))]), sender)
    async with running(one):
        await until(lambda: one.sent >= 2)
    before = len(sender.bodies)
    await one.flush(1.0)
    assert sender.bodies == [str(number) for number in range(before + 1)]


def test_pauses_grow_with_jitter_and_have_a_bound() -> None:
    assert [pause(n, GONE, lambda: 1.0) for n in range(8)] == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]
    assert pause(2, GONE, lambda: 0.0) == 2
    assert pause(0, Answer(429, retry_after=99_999.0), lambda: 0.5) == LONGEST + 0.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("5", 5.0),
        ("0", 0.0),
        ("-1", None),
        ("1e9", None),
        ("999999", None),
        ("\u0661", None),
        ("Wed", None),
    ],
)
def test_reads_retry_after_in_digits(text: str, seconds: float | None) -> None:
    assert read_retry_after(text) == seconds


def test_only_a_200_was_taken() -> None:
    assert OK.taken
    assert not Answer(204).taken  # what an endpoint says that is no OTLP receiver
    assert [status for status in range(100, 600) if Answer(status).again] == [429, 502, 503, 504]
    assert GONE.again


async def test_what_was_rejected_behind_a_200_is_lost_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    sender = FakeSender(Answer(200, rejected=1), Answer(200, rejected=9), OK)
    one = lane(backlog("a", "b", "c", "d", "e", "f", capacity=6), sender)
    with caplog.at_level(logging.INFO):
        async with running(one):
            await until(lambda: one.sent + one.lost == 6)
    assert sender.bodies == ["a,b", "c,d", "e,f"]  # none of them again
    assert (one.sent, one.lost) == (3, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "the collector takes only a part of things (1 refused)"
    ]
