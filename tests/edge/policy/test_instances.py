"""OPAs kept in the database: written when they say something new, or after a while."""

from __future__ import annotations

from pathlib import Path

from edge.policy.instances import StoredInstances
from edge.policy.store import PolicyStore
from edge.policy.store_types import Instance
from edge.store.database import Database


class Table:
    """Counts what is written."""

    def __init__(self) -> None:
        self.rows: list[Instance] = []

    def report_instance(self, instance: Instance) -> None:
        self.rows.append(instance)

    def instances(self) -> list[Instance]:
        return self.rows


async def test_the_same_word_is_written_once_in_a_while() -> None:
    table = Table()
    stored = StoredInstances(table)
    for at in (0.0, 1.0, 9.0, 10.5):
        await stored.seen(Instance("a", {}, "r1", at))
    assert [row.seen_at for row in table.rows] == [0.0, 10.5]
    await stored.seen(Instance("a", {}, "r2", 11.0))
    await stored.seen(Instance("a", {}, "r2", 11.1, "bundle_error", "why"))
    await stored.seen(Instance("b", {}, "r2", 11.1))
    assert len(table.rows) == 5


async def test_what_the_table_did_not_take_is_written_again() -> None:
    class Full(Table):
        def report_instance(self, instance: Instance) -> None:
            if not self.rows:
                self.rows = [instance]
                raise OSError
            super().report_instance(instance)

    stored = StoredInstances(Full())
    for expected in (True, False):
        failed = False
        try:
            await stored.seen(Instance("a", {}, "r1", 0.0))
        except OSError:
            failed = True
        assert failed is expected
    assert len(await stored.all()) == 2


async def test_the_database_keeps_them(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gateway.db'}")
    try:
        one = Instance("opa-1", {"zone": "a"}, "r1", 100.0)
        await StoredInstances(PolicyStore(database)).seen(one)
        assert await StoredInstances(PolicyStore(database)).all() == [one]
    finally:
        database.close()
