"""`GET /live` (one snapshot) and `GET /live/requests` (finished requests as they end, one JSON object per line).

For keys with scope `usage:read` or `admin`. The stream begins with {"event":"watching"}; in silence it says
{"event":"alive"}; {"event":"dropped","lines":n} stands for lines that a slow reader missed; {"event":"ended"} is last.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from edge.admin.answers import Answer, Ask, Flow, Route, json_answer
from edge.admin.pacing import Pace
from observability.live.filters import NAMES, BadFilterError, Filter, read_filter
from observability.live.watching import Watcher, event
from policies.errors import Refusal
from policies.reasons import Reason

if TYPE_CHECKING:
    from edge.live import Live

LIVE: Final = "/live"
LIVE_REQUESTS: Final = "/live/requests"
NDJSON: Final = "application/x-ndjson"
BEAT: Final = 10.0
"""Seconds of silence after which the stream says that it is alive: who hears nothing for longer calls again."""
_BURST: Final = 20
_RATE: Final = 5.0
"""Snapshots per second and key: one takes about a millisecond of the event loop while 100 requests run."""


class LiveView:
    """The two routes. `clock`: monotonic seconds; `beat` see BEAT."""

    def __init__(self, live: Live, *, clock: Callable[[], float], beat: float = BEAT) -> None:
        self._live = live
        self._clock = clock
        self._beat = beat
        self._pace = Pace(burst=_BURST, rate=_RATE)

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """By method and path, for `AdminApi`."""
        return {("GET", LIVE): self.show, ("GET", LIVE_REQUESTS): self.follow}

    async def show(self, ask: Ask) -> Answer:
        """Route: the snapshot."""
        if ask.inbound.query:
            raise Refusal(Reason.UNKNOWN_PARAMETER)
        _ = self._pace.wait(ask.principal.key_id, self._clock(), 0.0)
        return json_answer(200, self._live.snapshot())

    async def follow(self, ask: Ask) -> Flow:
        """Route: the stream."""
        wanted = _filter(ask.inbound.query)
        return Flow(
            {"content-type": NDJSON},
            self._lines(wanted, ask.readmit),
            lambda reason: event("ended", reason=reason.value),
        )

    async def _lines(self, wanted: Filter, readmit: Callable[[], Awaitable[None]]) -> AsyncGenerator[bytes]:
        """A key that ends cuts the stream at once; whether it still has the scope is asked again at every beat: unlike
        an answer of an engine this one never ends by itself."""
        since = self._clock()
        with self._live.watchers.watch(wanted) as watcher:
            yield event("watching")
            async for lines in _of(watcher, self._beat):
                if self._clock() - since >= self._beat:
                    await readmit()
                    since = self._clock()
                yield lines
            yield event("ended", reason=Reason.DRAINING.value)


async def _of(watcher: Watcher, beat: float) -> AsyncGenerator[bytes]:
    while True:
        lines = await watcher.take(beat)
        if not lines and watcher.over:
            return
        yield lines or event("alive")


def _filter(query: str) -> Filter:
    """Refusal for anything that is no filter: a misspelt one must not pass for everything."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=len(NAMES), errors="strict"
        )
    except ValueError:
        raise Refusal(Reason.INVALID_PARAMETER) from None
    try:
        return read_filter(pairs)
    except BadFilterError as error:
        reason = Reason.INVALID_PARAMETER if error.name else Reason.UNKNOWN_PARAMETER
        raise Refusal(reason, param=error.name or None, hint=str(error)) from None
