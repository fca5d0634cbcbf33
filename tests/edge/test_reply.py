"""Exactly one answer, in the form that still fits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
import pytest

from edge import reply as module
from edge.listener.inbound import Headers
from edge.reply import Reply
from edge.tasks import Tasks
from policies.call import Dialect
from policies.errors import EngineBroke, GatewayError
from policies.exchange import Client


class RecordingInbound:
    """An `Inbound` that keeps what it was told; the seam's test double."""

    method, path, query = "POST", "/v1/chat/completions", ""
    client = Client("127.0.0.1", 1, "local")
    cut = torn = False

    def __init__(self) -> None:
        self.headers: Headers = {}
        self.head: Headers = {}
        """Of the answer."""
        self.told: list[tuple[str, object]] = []
        self.room = asyncio.Event()
        self.room.set()

    def mark_authenticated(self) -> None:
        self.told.append(("known", None))

    async def body(self, limit: int) -> bytes:
        return b""

    async def answer(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        self.head = headers
        self.told.append(("answer", (status, body)))

    async def begin(self, status: int, headers: Headers) -> None:
        self.head = headers
        self.told.append(("begin", status))

    async def write(self, block: bytes) -> None:
        await self.room.wait()
        self.told.append(("write", block))

    async def end(self) -> None:
        self.told.append(("end", None))

    def abort(self) -> None:
        self.told.append(("abort", None))


PULSE = module.Pulse(first=0.002, every=0.002)


def say() -> str:
    return "queued 3"


class Slow(RecordingInbound):
    """Has every block at once, and room for the next one later."""

    async def write(self, block: bytes) -> None:
        self.told.append(("write", block))
        await self.room.wait()


async def test_who_is_cut_while_the_first_event_waits_for_a_slow_caller_does_not_begin_anew() -> None:
    """Responses began a second time in the same stream: another `response.created`, with the number 0."""
    inbound = Slow()
    inbound.room.clear()
    reply = Reply(inbound)
    begun: list[bool] = []

    def failing(_error: GatewayError, had: bool) -> bytes:
        begun.append(had)
        return b"failed\n\n"

    reply.failing = failing
    with reply.streams({}, Tasks(), say):
        writing = asyncio.ensure_future(reply.write(b"first\n\n"))
        await asyncio.sleep(0)
        assert inbound.told[-1] == ("write", b"first\n\n")
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        inbound.room.set()
        assert await reply.fail(EngineBroke("x"), Dialect.RESPONSES, "id") == 200
    assert begun == [True]


async def test_a_failure_before_the_first_event_has_its_real_status() -> None:
    inbound = RecordingInbound()
    reply = Reply(inbound)
    with reply.streams({}, Tasks(), say):
        assert await reply.fail(EngineBroke("x"), Dialect.OPENAI, "id") == 502
    assert [name for name, _ in inbound.told] == ["answer"]


@pytest.mark.parametrize(
    ("dialect", "start"),
    [
        (Dialect.OPENAI, b'data: {"error"'),
        (Dialect.ANTHROPIC, b"event: error\ndata: {"),
        (Dialect.OLLAMA, b'{"error":"'),
    ],
)
async def test_a_failure_within_the_stream_is_the_dialects_error_event(dialect: Dialect, start: bytes) -> None:
    inbound = RecordingInbound()
    reply = Reply(inbound)
    with reply.streams({}, Tasks(), say):
        await reply.write(b"data: 1\n\n")
        assert await reply.fail(EngineBroke("secret detail"), dialect, "id") == 200
    names = [name for name, _ in inbound.told]
    assert names == ["begin", "write", "write", "end"]
    block = inbound.told[2][1]
    assert isinstance(block, bytes)
    assert block.startswith(start)
    assert b"secret" not in block


async def test_a_failure_after_the_answer_cuts_the_connection() -> None:
    inbound = RecordingInbound()
    reply = Reply(inbound)
    await reply.whole(200, {}, b"{}")
    assert await reply.fail(EngineBroke("x"), Dialect.OPENAI, "id") == 0
    assert inbound.told[-1] == ("abort", None)


async def test_silence_is_filled_with_comments_and_never_after_the_end() -> None:
    inbound, tasks = RecordingInbound(), Tasks()
    reply = Reply(inbound)
    with reply.streams({}, tasks, say, PULSE):
        async with asyncio.timeout(5):
            while [name for name, _ in inbound.told].count("write") < 2:
                await asyncio.sleep(0)
        await reply.write(b"data: 1\n\n")
        await reply.end()
        count = len(inbound.told)
        await reply.comment(b"late")
    assert len(inbound.told) == count
    assert ("write", b": queued 3\n\n") in inbound.told
    await tasks.close()


async def test_within_a_torn_event_nothing_is_said_and_the_connection_is_cut() -> None:
    inbound = RecordingInbound()
    reply = Reply(inbound)
    with reply.streams({}, Tasks(), say):
        await reply.write(b"data: 1\n\n")
        inbound.torn = True
        await reply.comment(b"late")
        assert await reply.fail(EngineBroke("x"), Dialect.OPENAI, "id") == 0
    assert [name for name, _ in inbound.told] == ["begin", "write", "abort"]


async def test_no_heartbeats_pile_up_behind_a_caller_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    inbound, tasks = RecordingInbound(), Tasks()
    reply = Reply(inbound)
    ticks = 0

    def counted(self: module.KeptWarm, tick: Callable[[module.KeptWarm], None] = module.KeptWarm._tick) -> None:
        nonlocal ticks
        ticks += 1
        tick(self)

    monkeypatch.setattr(module.KeptWarm, "_tick", counted)
    with reply.streams({}, tasks, say, PULSE):
        await reply.write(b"data: 1\n\n")
        inbound.room.clear()
        blocked = tasks.start(reply.write(b"data: 2\n\n"), name="blocked")
        async with asyncio.timeout(5):
            while ticks < 20:
                await asyncio.sleep(0.001)
        assert len(tasks._running) <= 2  # the write, and perhaps one tick that came before it
        inbound.room.set()
        await blocked
    await tasks.close()


async def test_an_event_waits_for_the_comment_before_it_and_no_comment_comes_into_an_event() -> None:
    inbound, tasks = RecordingInbound(), Tasks()
    reply = Reply(inbound)
    with reply.streams({}, tasks, say, module.NEVER):
        await reply.write(b"data: 1\n\n")
        inbound.room.clear()
        comment = tasks.start(reply.comment(b"first"), name="comment")
        await asyncio.sleep(0)
        event = tasks.start(reply.write(b"data: 2\n\n"), name="event")
        await asyncio.sleep(0)
        assert reply.writing
        inbound.room.set()
        await asyncio.gather(comment, event)
        inbound.room.clear()
        event = tasks.start(reply.write(b"data: 3\n\n"), name="event")
        await asyncio.sleep(0)
        await reply.comment(b"in between")
        inbound.room.set()
        await event
    assert not reply.writing
    written = [block for name, block in inbound.told if name == "write"]
    assert written == [b"data: 1\n\n", b": first\n\n", b"data: 2\n\n", b"data: 3\n\n"]
    await tasks.close()


async def test_every_error_body_is_json_of_constants() -> None:
    inbound = RecordingInbound()
    await Reply(inbound).fail(EngineBroke("prompt: secret"), Dialect.OPENAI, "0" * 32)
    told = inbound.told[0][1]
    assert isinstance(told, tuple)
    assert orjson.loads(told[1])["error"]["code"] == "engine_broke"
    assert b"secret" not in told[1]


async def test_a_caller_that_waits_gets_its_headers_and_one_that_may_not_gets_nothing() -> None:
    inbound, tasks = RecordingInbound(), Tasks()
    reply = Reply(inbound)
    with reply.streams({"x": "y"}, tasks, say, PULSE):
        async with asyncio.timeout(5):
            while not inbound.told:
                await asyncio.sleep(0.001)
    assert inbound.told[0][0] == "begin"
    warm = Reply(RecordingInbound()).streams({}, tasks, say, module.Pulse(first=0, every=0.001))
    with warm:
        assert warm._timer is None  # nothing will ever tick
    await tasks.close()
