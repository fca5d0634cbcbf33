"""The flow: one permitted call to one engine, and its answer to the caller.

Three shapes: stream to stream, whole to whole, and stream to whole (for engines that notice a leaving caller only while
streaming). Whatever ends this early (the caller leaves, a cut, a timer) leaves the `async with`, which closes the
connection to the engine at once: that is how an engine learns to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from edge.dialects.contract import Rendering
from edge.dialects.writing import write
from edge.relay.aggregate import Aggregate
from edge.relay.answer import MAX_ANSWER, answer_text, finish_reason, read_answer
from edge.relay.chunks import ChunkReader
from edge.relay.counting import MAX_COUNT, ask
from edge.relay.meter import Meter
from edge.relay.prompt import expected_choices, prompt_text
from edge.relay.ranking import read_judged
from edge.relay.sse import SseDecoder
from edge.relay.usage import usage_object
from edge.reply import NEVER, Pulse, Reply
from edge.tasks import Tasks
from engines.adapters.offers import explain
from engines.contract import Adapter, Target, Transport, UpstreamRequest, UpstreamResponse
from policies.call import GENERATING, JUDGING, Call, Operation
from policies.decision import Permit
from policies.errors import EngineBroke, EngineTimeout, GatewayError, UpstreamError
from policies.exchange import Exchange, Usage
from policies.json import Object

MAX_ERROR: Final = 64 * 1024
SSE_TYPE: Final = "text/event-stream"
LINGER: Final = 0.05
"""Seconds the engine gets after `[DONE]` to end its answer, so that the connection can be used again."""

STREAM_HEADERS: Final = {
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx in front would hold events back (llama-swap #236)
}


class Counting(Protocol):
    """Reads an answer: what the engine has counted, and how many tokens it says it has generated so far."""

    @property
    def usage(self) -> Usage: ...
    @property
    def running(self) -> int: ...


class Whole(NamedTuple):
    """A complete answer: its bytes in the caller's dialect, and what they say, for whoever captures it."""

    body: bytes
    document: Object | None


@dataclass(frozen=True, slots=True)
class Leg:
    """One call on its way to one engine and back. `headers` go into the answer; `salt` isolates prefix caches.

    `began` is called once, when the first byte of the engine's answer is there; `said` when the whole answer is there,
    before the caller is given its end.
    """

    exchange: Exchange
    reply: Reply
    permit: Permit
    call: Call
    target: Target
    adapter: Adapter
    transport: Transport
    tasks: Tasks
    clock: Callable[[], float]
    headers: dict[str, str]
    salt: str
    meter: Meter
    rendering: Rendering
    began: Callable[[], None] = field(default=lambda: None)
    said: Callable[[], Awaitable[None]] | None = None

    def waiting(self, say: Callable[[], str], pulse: Pulse) -> AbstractContextManager[None]:
        """To be entered before `run`, and before the wait for a turn: a streaming caller hears what it waits for."""
        if not self.streams:
            return contextlib.nullcontext()
        headers = {"content-type": self.rendering.content_type, **STREAM_HEADERS, **self.headers}
        return self.reply.streams(headers, self.tasks, say, pulse if self.rendering.comments else NEVER)

    async def run(self) -> Whole | None:
        """Send the call and relay the answer, then `finish`; GatewayErrors leave here.

        A streamed answer goes to the caller as it comes, up to its end; a whole one is returned, so that the engine is
        free while the caller reads it.
        """
        self.check_permit()
        # An answer that may have to be stopped, or to be timed, is streamed from the engine, whatever the caller gets.
        always = self.adapter.always_stream or self.meter.limited or self.rendering.paced
        streamed = self.call.operation in GENERATING and (self.call.stream or always)
        try:
            async with asyncio.timeout(self.target.engine.timeouts.total):
                if self.streams:
                    await self._stream()
                    return None
                document = await (self._aggregated() if streamed else self._whole())
        except TimeoutError:
            raise EngineTimeout("total") from None
        self.exchange.outcome.finish = finish_reason(document)
        taped = document if self.reply.tape is not None and self.call.operation in GENERATING else None
        body = write(self.rendering.whole(document))
        if self.said is not None:
            await self.said()
        return Whole(body, taped)

    def check_permit(self) -> None:
        """RuntimeError if the permit is for another model."""
        if self.permit.model != self.target.model.name:
            raise RuntimeError("a permit for another model")

    async def finish(self, answer: Whole | None) -> None:
        """Give the caller what `run` returned, or the end of the stream."""
        if answer is None:
            await self.reply.end()
            return
        await self.reply.whole(200, {"content-type": "application/json", **self.headers}, answer.body)
        if self.reply.tape is not None and answer.document is not None:
            self.reply.tape.answer(answer.document)

    @property
    def streams(self) -> bool:
        """Whether the caller gets its answer as it comes."""
        return self.call.stream and self.call.operation in GENERATING

    async def _stream(self) -> None:
        reader = self._reader()
        async with self._asked(stream=True) as response:
            await self._check_stream(response)
            with self.charged(reader):
                await self._shown(response, reader)
                await self._finish(reader)
                end = self.rendering.end(reader.usage_chunk())
                if self.said is not None:
                    await self.said()
                await self.reply.write(end)
                self.exchange.outcome.told = True
                if not reader.cut:
                    await linger(response)

    async def _shown(self, response: UpstreamResponse, reader: ChunkReader) -> None:
        head: bytes | None = None
        async with contextlib.aclosing(self._chunks(response, reader)) as blocks:
            async for chunks in blocks:
                if chunks:
                    head = self.rendering.begin(self.meter.input) if head is None else b""
                    await self._say(head, chunks)

    async def _say(self, head: bytes, chunks: list[Object]) -> None:
        """Give the caller some chunks; if one cannot be said in its dialect, those before it all the same: how the
        engine's bytes fell into blocks is not to be seen."""
        blocks = [head]
        try:
            for chunk in chunks:
                blocks.append(self.rendering.chunk(chunk))  # noqa: PERF401 - up to one that fails
        finally:
            if len(blocks) > 1:
                await self.reply.write(b"".join(blocks))
                if self.reply.tape is not None:
                    self.reply.tape.chunks(chunks[: len(blocks) - 1])

    async def _aggregated(self) -> Object:
        reader, aggregate = self._reader(), Aggregate()
        async with self._asked(stream=True) as response:
            await self._check_stream(response)
            with self.charged(reader):
                async with contextlib.aclosing(self._chunks(response, reader)) as blocks:
                    async for chunks in blocks:
                        for chunk in chunks:
                            aggregate.add(chunk)
                        if reader.size > MAX_ANSWER:
                            raise EngineBroke("the answer is too large")
                await self._finish(reader)
                if not reader.cut:
                    await linger(response)
        return aggregate.answer(reader.usage, chat=self.call.operation is Operation.CHAT)

    async def _whole(self) -> Object:
        async with self._asked(stream=False) as response:
            await self.check_status(response)
            body = await response.read(MAX_COUNT if self.call.operation is Operation.TOKENIZE else MAX_ANSWER)
            self.mark_first_byte()
        usage = self.exchange.outcome.usage
        if self.call.operation in JUDGING:
            return read_judged(body, self.call, self.target, self.adapter, usage)
        document = read_answer(body, self.call.operation, model=self.call.model, usage=usage, answer=self.exchange.id)
        if usage.source == "chunks":
            await self.meter.admit(usage.output or 0)  # always given: what is limited streams
            await self._count(answer_text(document), self.meter.used)
            document["usage"] = usage_object(usage)
        return document

    def _asked(self, *, stream: bool) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self.sent(self.adapter.build(self.call, self.target, stream=stream, salt=self.salt))

    def sent(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        """The answer to `request`, whatever its status; to be entered at once."""
        if (trace := self.exchange.trace) is not None:
            request = replace(request, headers=(*request.headers, *trace.headers))
        self.exchange.stages.sent = self.clock()
        return self.transport.send(self.permit, self.target.engine, request)

    async def _check_stream(self, response: UpstreamResponse) -> None:
        await self.check_status(response)
        if response.content_type != SSE_TYPE:
            raise EngineBroke("asked for a stream, got something else")

    async def check_status(self, response: UpstreamResponse) -> None:
        """UpstreamError unless the engine answers."""
        if response.status != HTTPStatus.OK:
            body = await response.read(MAX_ERROR)
            raise explain(self.adapter, self.call, response, body)

    async def _chunks(self, response: UpstreamResponse, reader: ChunkReader) -> AsyncGenerator[list[Object]]:
        """The caller's chunks, block by block as the engine's bytes come, until the engine says it is done."""
        decoder = SseDecoder()
        try:
            async for block in response.chunks():
                if not block:
                    continue
                self.mark_first_byte()
                chunks: list[Object] = []
                try:
                    for chunk, tokens in _read(reader, decoder, block):
                        if tokens and not await self.meter.admit(tokens):
                            # Leaving the stream unread closes the connection, which is how an engine learns to stop.
                            yield [*chunks, reader.cut_chunk(chat=self.call.operation is Operation.CHAT)]
                            return
                        if chunk is not None:
                            chunks.append(chunk)
                except GatewayError:
                    yield chunks  # what stood before it in the same block was said, and counted
                    raise
                self.meter.mark()
                yield chunks
                if reader.done:
                    return
        except EngineBroke:
            meant = self.adapter.silent(self.call)
            if self.exchange.stages.first_byte or isinstance(meant, EngineBroke) or await self._ask("a") is None:
                raise
            # It is well, and ended a stream in which it had said nothing: as if it had ended it properly, which
            # llama-cpp-python does for the same reasons (whichever of two tasks of its server is faster).
            raise meant from None

    def mark_first_byte(self) -> None:
        """The engine has begun to answer."""
        if not self.exchange.stages.first_byte:
            self.exchange.stages.first_byte = self.clock()
            self.began()

    async def _finish(self, reader: ChunkReader) -> None:
        if not self.exchange.stages.first_byte:
            raise self.adapter.silent(self.call)
        if not reader.complete:
            raise EngineBroke("the stream ended without a finish reason")
        if reader.cut:
            self.take_metered(reader)
        elif not reader.settle():
            await self._count(reader.text, self._at_least(reader))
        self.exchange.outcome.finish = reader.finish

    def charged(self, reader: Counting) -> AbstractContextManager[None]:
        """An answer that does not come to its end is charged as far as it came, whatever the engine said of it."""
        return _Charged(self, reader)

    def take_metered(self, reader: Counting) -> None:
        """Charge what was relayed."""
        usage = reader.usage
        usage.input = usage.input or self.meter.input
        usage.output, usage.source = self._at_least(reader), "metered"

    def _at_least(self, reader: Counting) -> int:
        """Tokens that were generated at least: those relayed, or what the engine had counted on the way."""
        return max(reader.running, self.meter.used)

    async def _count(self, text: str, metered: int) -> None:
        """Ask the engine's tokenizer where it has counted no answer; `metered`, from its pieces, is the last resort."""
        usage = self.exchange.outcome.usage
        written = await self._ask(text)
        prompt = usage.input or (None if written is None else await self._ask(prompt_text(self.call)))
        if written is not None and prompt is not None:
            usage.input, usage.output, usage.source = prompt, written, "counted"
        else:
            usage.input, usage.output, usage.source = usage.input or self.meter.input, metered, "chunks"

    async def _ask(self, text: str) -> int | None:
        request = self.adapter.count(self.target, text)
        return await ask(self.permit, self.target, self.adapter, self.transport, request)

    def _reader(self) -> ChunkReader:
        return ChunkReader(
            model=self.call.model,
            choices=expected_choices(self.call),
            usage=self.exchange.outcome.usage,
            keep_text=self.adapter.count(self.target, "") is not None,
            answer=self.exchange.id,
        )


class _Charged:
    """See Leg.charged. A class, since a generator's context manager costs 2 us more."""

    __slots__ = ("_leg", "_reader")

    def __init__(self, leg: Leg, reader: Counting) -> None:
        self._leg = leg
        self._reader = reader

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if not self._leg.exchange.outcome.finish:
            self._leg.take_metered(self._reader)


def _read(reader: ChunkReader, decoder: SseDecoder, block: bytes) -> Iterator[tuple[Object | None, int]]:
    """What `block` completes, and how many tokens are in it, up to `[DONE]`: what an engine writes after its own end is
    nobody's."""
    for event in decoder.feed(block):
        before = reader.tokens
        chunk = reader.read(event)
        yield chunk, reader.tokens - before
        if reader.done:
            return


async def linger(response: UpstreamResponse) -> None:
    """Let the engine end an answer whose last event was read."""
    if response.over:
        return
    with contextlib.suppress(UpstreamError, TimeoutError):
        async with asyncio.timeout(LINGER):
            async for _ in response.chunks():
                pass
