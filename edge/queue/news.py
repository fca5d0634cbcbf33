"""What the gateways that share an engine tell each other about it, in JSON over a Redis channel. Pure.

Only fairness hangs on it, never a count: what is lost, late or said twice makes somebody wait a turn too long. It comes
over a wire that others could write to, so whatever is not exactly of this form is nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from policies.json import JSON, as_list, as_object
from policies.obligations import Priority

BANDS: Final = len(Priority)
MOST_ACCOUNTS: Final = 256
"""Of the callers served most, told to a gateway that begins."""
_LARGEST: Final = 1e15
_MOST_RUNNING: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class News:
    """Of `sender`: `turns` it gave (band, caller), in order; `served`: weighted tokens charged to callers since its
    last news; `running` requests of its own; `line`: per band the service of the least served caller that waits there
    (None: nobody). `hello`: it begins, and asks for the others' `accounts` (weighted tokens of today). Empty news only
    wake."""

    sender: str
    engine: str
    turns: tuple[tuple[int, str], ...] = ()
    served: Mapping[str, float] = field(default_factory=dict)
    running: int = 0
    line: tuple[float | None, ...] = (None,) * BANDS
    accounts: Mapping[str, float] = field(default_factory=dict)
    hello: bool = False

    @property
    def waits(self) -> bool:
        """Whether anybody stands in its line."""
        return any(least is not None for least in self.line)

    def encode(self) -> str:
        """As it travels; ASCII."""
        return json.dumps(
            {
                "from": self.sender,
                "engine": self.engine,
                "turns": [list(turn) for turn in self.turns],
                "served": dict(self.served),
                "running": self.running,
                "line": list(self.line),
                "accounts": dict(self.accounts),
                "hello": self.hello,
            },
            separators=(",", ":"),
        )


def decode(data: bytes) -> News | None:
    """What was said; None if that is no news."""
    try:
        said = as_object(json.loads(data))
        sender, engine, running = said["from"], said["engine"], said["running"]
        if not (isinstance(sender, str) and isinstance(engine, str) and isinstance(running, int)):
            return None
        if not 0 <= running <= _MOST_RUNNING:
            return None
        line = tuple(None if least is None else _amount(least) for least in as_list(said["line"]))
        if len(line) != BANDS:
            return None
        return News(
            sender,
            engine,
            tuple(_turn(turn) for turn in as_list(said["turns"])),
            {caller: _number(amount) for caller, amount in as_object(said["served"]).items()},
            running,
            line,
            {caller: _amount(amount) for caller, amount in as_object(said["accounts"]).items()},
            hello=said["hello"] is True,
        )
    except (ValueError, KeyError, RecursionError):
        return None


def _turn(said: JSON) -> tuple[int, str]:
    match said:
        case [int(band), str(caller)] if 0 <= band < BANDS:
            return band, caller
        case _:
            raise ValueError("no turn")


def _number(said: JSON) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not abs(said) <= _LARGEST:
        raise ValueError("no number")
    return float(said)


def _amount(said: JSON) -> float:
    number = _number(said)
    if number < 0:
        raise ValueError("no amount")
    return number
