"""The flow of a native answer: the same checks, meter and ends as in relay.py, without the internal form between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Final

from edge.dialects.writing import write
from edge.headers import ignored
from edge.relay.answer import MAX_ANSWER
from edge.relay.native.contract import Reading
from edge.relay.native.lines import parsed
from edge.relay.native.ways import Needs, Way, Ways, reading_of
from edge.relay.relay import MAX_ERROR, Leg, Whole, linger
from engines.contract import UpstreamRequest, UpstreamResponse
from policies.errors import EngineBroke, EngineTimeout
from policies.json import Object, as_str

_NO_ROUTE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_UNEXPECTED: Final = "Unexpected endpoint"
"""LM Studio's word for it, with status 200."""
_JSON: Final = "application/json"


class _NoRouteError(Exception):
    """The engine has no such route."""


def on_its_way(leg: Leg, ways: Ways) -> Leg:
    """`leg`, the native way if its dialect's route can say all of it. What its engine has nothing for is named then:
    that depends on the way."""
    call, adapter = leg.call, leg.adapter
    asked: UpstreamRequest | None = None
    if ways.may_be_native(call, leg.target, Needs(leg.meter.limited, leg.reply.tape is not None)):
        asked = adapter.build_native(call, leg.target, stream=call.stream, salt=leg.salt)
    leg.headers.update(ignored(call, adapter.left_out(call, native=asked is not None)))
    if asked is None:
        return leg
    return NativeLeg(**{field.name: getattr(leg, field.name) for field in fields(Leg)}, ways=ways, asked=asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeLeg(Leg):
    """A call that goes the native way, as `asked`. As any other if it turns out that its engine has no such route."""

    ways: Ways
    asked: UpstreamRequest

    async def run(self) -> Whole | None:
        """See `Leg.run`."""
        self.check_permit()
        self.exchange.way = Way.NATIVE.value
        try:
            return await self._native(self.asked)
        except _NoRouteError:
            self.ways.close(self.target, self.call)
        self.exchange.way = Way.TRANSLATED.value
        # In vain only if a heartbeat has sent the head of a stream already.
        self.reply.always = {**self.reply.always, **ignored(self.call, self.adapter.left_out(self.call))}
        return await Leg.run(self)

    async def _native(self, asked: UpstreamRequest) -> Whole | None:
        usage = self.exchange.outcome.usage
        reading = reading_of(self.call, self.exchange.id, self.rendering, usage, self.meter.input)
        try:
            async with asyncio.timeout(self.target.engine.timeouts.total):
                if not self.streams:
                    return await self._whole_answer(asked, reading)
                await self._streamed(asked, reading)
        except TimeoutError:
            raise EngineTimeout("total") from None
        return None

    async def _streamed(self, asked: UpstreamRequest, reading: Reading) -> None:
        async with self._heard(asked) as response:
            if response.content_type != reading.media_type:
                await _wonder(response)
            with self.charged(reading):
                await self._relayed(response, reading)

    async def _relayed(self, response: UpstreamResponse, reading: Reading) -> None:
        async for block in response.chunks():
            self.mark_first_byte()
            if await self._give(reading, block):
                return
            if reading.done:
                await linger(response)
                return
        raise EngineBroke("the stream ended without its last event")

    async def _give(self, reading: Reading, block: bytes) -> bool:
        """Relay what `block` completes; True if that ended the answer before its time.

        What comes before an error in it is given all the same: how an engine's bytes are cut into blocks changes
        nothing for a caller.
        """
        shown: list[bytes] = []
        cut = False
        try:
            for piece in reading.pieces(block):
                if piece.tokens and not await self.meter.admit(piece.tokens):
                    shown.append(reading.cut(self.meter.used))
                    cut = True
                    break
                shown.append(piece.data)
            if cut or reading.done:
                self._settle(reading, cut=cut)
        finally:
            if shown:
                await self.reply.write(b"".join(shown))
        self.exchange.outcome.told = cut or reading.done
        self.meter.mark()
        return cut

    async def _whole_answer(self, asked: UpstreamRequest, reading: Reading) -> Whole:
        async with self._heard(asked) as response:
            document = parsed(await response.read(MAX_ANSWER))
            _check_route(document)
            self.mark_first_byte()
        shown = reading.whole(document)
        await self.meter.admit(reading.tokens)  # always given: what is limited streams
        self._settle(reading, cut=False)
        return Whole(write(shown), None)

    @contextlib.asynccontextmanager
    async def _heard(self, asked: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        async with self.sent(asked) as response:
            if response.status in _NO_ROUTE:  # whatever the page says
                raise _NoRouteError
            await self.check_status(response)
            yield response

    def _settle(self, reading: Reading, *, cut: bool) -> None:
        usage = self.exchange.outcome.usage
        if cut:
            self.take_metered(reading)
        elif not reading.settle():
            usage.input = usage.input or self.meter.input
            usage.output, usage.source = max(reading.tokens, reading.running), "chunks"
        self.exchange.outcome.finish = reading.finish


async def _wonder(response: UpstreamResponse) -> None:
    """No stream came: there is no such route, or the engine is broken."""
    if response.content_type == _JSON:
        _check_route(parsed(await response.read(MAX_ERROR)))
    raise EngineBroke("asked for a stream, got something else")


def _check_route(document: Object) -> None:
    if as_str(document.get("error")).startswith(_UNEXPECTED):
        raise _NoRouteError
