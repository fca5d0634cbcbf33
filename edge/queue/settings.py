"""The settings of the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """`limit`: callers that may wait for one engine; `wait`: seconds each of them waits at most.

    While an engine loads the model that a caller waits for, `load_wait` (seconds) counts instead of `wait`. One key may
    hold `share` of the places of a line (above 0, at most 1). `half_life`: seconds in which what a caller was served
    counts half, when nobody waits. `passed_over`: seconds for which requests for a loaded model may go before a request
    for another one. `band_turns`: turns that earlier bands may take in a row while a later one waits.

    A streaming caller that has waited `tell_after` seconds gets status and headers, and then a comment after every
    `tell_every` seconds of silence, which says what it waits for; 0 = it gets nothing until the answer begins.

    `in_flight_per_caller` requests of one credential are under way at once (fewer where the key says so), and
    `queued_per_caller` more may wait for that; beyond, they are refused. One noisy caller never fills an engine's line.
    """

    limit: int = 64
    wait: float = 30.0
    load_wait: float = 300.0
    share: float = 0.5
    half_life: float = 60.0
    passed_over: float = 15.0
    band_turns: int = 8
    tell_after: float = 1.0
    tell_every: float = 10.0
    in_flight_per_caller: int = 8
    queued_per_caller: int = 16

    def __post_init__(self) -> None:
        if min(self.in_flight_per_caller, self.band_turns) < 1:
            raise ValueError("in_flight_per_caller and band_turns must be at least 1")
        if min(self.limit, self.queued_per_caller, self.wait, self.load_wait, self.passed_over) < 0:
            raise ValueError(
                "limit, queued_per_caller, wait, load_wait and passed_over must not be negative (0 = nobody waits)"
            )
        if not 0 < self.share <= 1:
            raise ValueError("share must be above 0 and at most 1")
        if self.tell_after < 0 or not self.tell_every > 0:
            raise ValueError("tell_after must not be negative (0 = never), and tell_every must be above 0")
        if not self.half_life > 0:
            raise ValueError("half_life must be above 0")

    @property
    def places(self) -> int:
        """Waiting places that one key may hold of one engine's line; at least one."""
        return max(1, int(self.limit * self.share))
