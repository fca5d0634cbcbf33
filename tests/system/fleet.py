"""One gateway that counts in memory, or four that share a database and a real Redis: the same tests for both.

What a caller may rely on must not depend on how many gateways there are, so a test asks the fixture `fleet` for
gateways and spreads its requests over them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, Protocol

from policies.json import JSON, Object
from tests.system.process import Gateway, Key, until

if TYPE_CHECKING:
    from tests.edge.limits.redis_server import RedisServer
    from tests.system.conftest import Launch

WORKERS = 4
WITHIN = 30.0


class Muster(Protocol):
    """Start all gateways of a test, with these `limits`; nobody waits in a line of its own, nor for the engine."""

    def __call__(self, **limits: JSON) -> list[Gateway]: ...


def muster(
    launch: Launch,
    redis: RedisServer | None,
    count: int = WORKERS,
    *,
    policy: JSON = None,
    slots: int = 64,
    share: float = 0.5,
    limits: Object | None = None,
) -> list[Gateway]:
    """`count` gateways with one database, one pepper and one `redis`; None = a gateway that counts by itself.

    Their engine has `slots`; one caller may hold `share` of the places in line.
    """
    gateways: list[Gateway] = []
    for _ in range(count):
        database = f"sqlite:///{gateways[0].folder}/home/gateway.db" if gateways else None
        gateway = launch(
            like=gateways[0] if gateways else None,
            limits={"store_error_share": 0.25, **(limits or {})},
            stores={"database": database, **({"redis": redis.url} if redis else {})},
            queue={"in_flight_per_caller": 64, "queued_per_caller": 64, "share": share},
            engine={"concurrency": slots},
            policy=policy or {},
        )
        gateways.append(gateway)
    return gateways


def member(gateways: Sequence[Gateway], name: str, *arguments: str) -> Key:
    """A new key that every one of them knows."""
    key = gateways[0].create_key(name, *arguments)
    for gateway in gateways[1:]:
        until(lambda gateway=gateway: gateway.get("/v1/me", key.bearer).status == 200, WITHIN, "the key is known")  # type: ignore[misc]
    return key


class Book:
    """The ledger that they share, as it stands in the database."""

    HOLD: Final = 1
    SETTLE: Final = 3

    def __init__(self, gateways: Sequence[Gateway]) -> None:
        self._file = gateways[0].folder / "home" / "gateway.db"

    def settled(self) -> dict[str, int]:
        """Output tokens of every settled request; the sum, where it was settled twice."""
        asked = "SELECT request_id, sum(output) FROM ledger WHERE kind = ? GROUP BY request_id"
        return {str(request): int(output) for request, output in self._ask(asked, self.SETTLE)}

    def open_holds(self) -> dict[str, str]:
        """Requests without a settlement, and the instance that holds each."""
        asked = (
            "SELECT request_id, instance FROM ledger WHERE kind = ?"
            " AND request_id NOT IN (SELECT request_id FROM ledger WHERE kind = ?)"
        )
        return {str(request): str(instance) for request, instance in self._ask(asked, self.HOLD, self.SETTLE)}

    def instances(self) -> set[str]:
        """Gateways that are alive, or whose holds nobody has settled yet."""
        return {str(name) for (name,) in self._ask("SELECT id FROM ledger_instances")}

    def _ask(self, statement: str, *values: int) -> list[tuple[str | int, ...]]:
        with closing(sqlite3.connect(self._file, timeout=20.0)) as database:
            return database.execute(statement, values).fetchall()
