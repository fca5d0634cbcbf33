"""What the ledger is told: a hold, progress, the settlement; and the seam it is told through. No I/O.

Instants are wall seconds since the epoch. Tokens and milliseconds are whole numbers, never negative.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

RECOVERED: Final = "recovered"
"""The reason of a settlement that was made from the last progress, because whoever served the request is gone."""
VOID: Final = "void"
"""The reason of a settlement of a hold whose request went no further: nothing was sent to an engine."""

COUNTED: Final = frozenset({"engine", "timings", "counted"})
"""The sources of a settlement's figures that are an engine's own count."""

_NO_ERROR: Final = frozenset({"", "client_gone", VOID})


class LedgerDown(Exception):
    """The hold is not on disk: full, read-only, locked for too long, or the database does not answer.

    The request must be refused; nothing needs to be settled. The text is one line for the operator.
    """


class Hold(NamedTuple):
    """An admitted request, before the engine sees it: `input` tokens counted, `output` tokens held.

    `rate_class`: the class a policy put the request into, "" = none.
    """

    request_id: str
    at: float
    key: str
    owner: str
    groups: tuple[str, ...]
    listener: str
    model: str
    engine: str
    operation: str
    stream: bool
    input: int
    output: int
    rate_class: str = ""


class Progress(NamedTuple):
    """What a running answer has cost by now; the whole, not what was added."""

    request_id: str
    at: float
    input: int
    output: int


class Settled(NamedTuple):
    """What the request cost in the end. `status` as sent to the caller; `reason` "" = it went well.
    `model` counts where the hold has none."""

    request_id: str
    at: float
    input: int
    output: int
    cached: int | None = None
    gpu_ms: int = 0
    status: int = 200
    reason: str = ""
    finish: str = ""
    source: str = "none"
    model: str = ""

    @property
    def failed(self) -> bool:
        """Whether it counts as an error in `usage`; a caller that leaves is none."""
        return self.reason not in _NO_ERROR


class Ledger(Protocol):
    """Where requests are accounted for. All methods belong to the event loop's thread."""

    async def hold(self, hold: Hold) -> None:
        """Return once `hold` is on disk; LedgerDown if it cannot be.

        If this raises, CancelledError included, there is nothing to settle: the ledger voids what it wrote.
        """
        ...

    async def checkpoint(self, progress: Progress) -> None:
        """As `progress`, but return once it is on disk: before the last byte of an answer that is sent as a whole.

        LedgerDown if it cannot be; the figures stay in memory even so.
        """
        ...

    def progress(self, progress: Progress) -> None:
        """Note how far a request is; never waits, and the newest one of a request replaces what is not yet written."""
        ...

    def settle(self, settled: Settled) -> None:
        """End a held request; never waits and is never lost. Of a request that is not held (any more): ignored."""
        ...


class MemoryLedger:
    """The seam's test double: keeps everything, and is down when told to."""

    def __init__(self) -> None:
        self.open: dict[str, Hold] = {}
        self.holds: list[Hold] = []
        self.progresses: list[Progress] = []
        self.settled: list[Settled] = []
        self.down = False

    async def hold(self, hold: Hold) -> None:
        if self.down:
            raise LedgerDown("told to be down")
        self.open[hold.request_id] = hold
        self.holds.append(hold)

    async def checkpoint(self, progress: Progress) -> None:
        self.progress(progress)
        if self.down:
            raise LedgerDown("told to be down")

    def progress(self, progress: Progress) -> None:
        if progress.request_id in self.open:
            self.progresses.append(progress)

    def settle(self, settled: Settled) -> None:
        if self.open.pop(settled.request_id, None):
            self.settled.append(settled)
