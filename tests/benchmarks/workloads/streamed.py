"""Streams at 50 tokens a second: one, 200 and 1,000 at once, which begin evenly spread and are followed by others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import origin, samples
from tests.benchmarks.contenders import Contender, Meter, field
from tests.benchmarks.load import CHAT
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.readers import Asked, listen
from tests.benchmarks.samples import Taken
from tests.system.wire import loads

_SHORT: Final = 16
"""Tokens where there is one stream at a time, which has to begin often for its first token to be measured. Bifrost asks
the engine for no fewer."""


def measure(plan: Plan, folder: Path) -> Object:
    """A row per contender and number of streams; `transit` is a curve of the last round."""
    rows: list[Object] = []
    with origin.running(origin.Pace.EXACT) as port, field(folder, port, peers=True) as found:
        for streams in plan.streams:
            listening = Listening(plan, streams)
            taken = interleaved(found.contenders, plan.rounds, listening)
            made = samples.rows(taken, {"streams": streams})
            rows += [row | {"transit": listening.curves[str(row["contender"])]} for row in made]
            found.notes += [f"{streams} streams, {name}: {what}" for name, what in listening.problems.items()]
    return {"rows": list[JSON](rows), "notes": list[JSON](found.notes)}


class Listening:
    """A round of one contender. As long as the warm-up takes a stream lives, so that as many end as begin. `begun` is
    called when the measurement begins."""

    def __init__(
        self,
        plan: Plan,
        streams: int,
        *,
        path: str = CHAT,
        members: Object | None = None,
        drop: Sequence[str] = (),
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._streams = streams
        self._path = path
        self._tokens = _SHORT if streams == 1 else max(1, round(plan.warm * origin.RATE))
        body: Object = loads(origin.chat(stream=True, max_tokens=self._tokens, **(members or {})))
        self._body = json.dumps({name: value for name, value in body.items() if name not in drop})
        self._begun = begun
        self.curves: dict[str, list[JSON]] = {}
        self.problems: dict[str, str] = {}

    def __call__(self, contender: Contender) -> Taken:
        """First token, transit, gap (milliseconds), and the contender's processor time per token (`cpu_us`)."""
        asked = Asked(contender.port, contender.key, self._body, self._tokens, self._path)
        meter, marks = Meter(contender), list[float]()

        def begin() -> None:
            self._begun()
            marks.append(meter.seconds())

        heard = listen(
            asked,
            streams=self._streams,
            warm=self._plan.warm,
            seconds=self._plan.seconds,
            between=begin,
        )
        used = meter.seconds() - marks[0]
        self.curves[contender.name] = heard.curve()
        if heard.problem:
            self.problems[contender.name] = heard.problem
        taken = heard.taken() | {"per_second": heard.events / self._plan.seconds}
        return taken | ({"cpu_us": used / heard.events * 1e6} if used and heard.events else {})
