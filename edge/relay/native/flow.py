"""The flow of a native answer: the same checks, meter and ends as in relay.py, without the internal form between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Final, Self

from edge.dialects.writing import write
from edge.relay.answer import MAX_ANSWER
from edge.relay.native.contract import Reading
from edge.relay.native.lines import parsed
from edge.relay.native.ways import Way, Ways, reading_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeLeg(Leg):
    """A call that may go the native way: if its dialect's route can say all of it, and is there. Else as any other."""

    ways: Ways

    @classmethod
    def of(cls, leg: Leg, ways: Ways) -> Self:
        """`leg`, the native way."""
        return cls(**{field.name: getattr(leg, field.name) for field in fields(Leg)}, ways=ways)

    async def run(self) -> Whole | None:
        """See `Leg.run`."""
        self.check_permit()
        asked = self.adapter.build_native(self.call, self.target, stream=self.call.stream, salt=self.salt)
        if asked is not None:
            self.exchange.way = Way.NATIVE.value
            try:
                return await self._native(asked)
            except _NoRouteError:
                self.ways.close(self.target, self.call)
                self.exchange.way = Way.TRANSLATED.value
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
        async with self._heard(asked) as response, self.charged(reading):
            if response.content_type != reading.media_type:
                await _wonder(response)
            cut = False
            async for block in response.chunks():
                self.mark_first_byte()
                cut = await self._give(reading, block)
                if cut or reading.done:
                    break
            if cut:
                return
            if not reading.done:
                raise EngineBroke("the stream ended without its last event")
            await linger(response)

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
            if response.status in _NO_ROUTE:
                await response.read(MAX_ERROR)
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
