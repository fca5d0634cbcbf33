"""The same store of responses on a real PostgreSQL, which its gateways share."""

from __future__ import annotations

from dataclasses import replace

from edge.responses.store import open_store
from edge.store.database import Database
from tests.edge.responses.test_store import BOUNDS, KEEP, NOW, add, chain, identity, new, there


def test_responses_are_kept_found_by_both_gateways_bounded_and_deleted(postgres: Database) -> None:
    one = open_store(postgres, replace(BOUNDS, per_owner=3, total_bytes=64 << 20))
    other = open_store(postgres, BOUNDS)
    assert add(one, new(1), new(2, 1), new(9, owner="bob")) == [True, True, True]
    assert chain(other, 2) == ["in 1", "out 1", "in 2", "out 2"]
    assert chain(other, 2, owner="bob") is None
    found = other.several("ann", [identity(1), identity(2)], NOW)
    assert found is not None
    assert len(found) == 2
    assert add(one, new(3), new(4), now=NOW + 1) == [True, True]
    assert there(other, 1, 2, 3, 4) == [3, 4]
    assert other.delete("ann", identity(3), NOW)
    assert not one.delete("ann", identity(3), NOW)
    assert one.sweep(NOW + KEEP + 2) == 2
    assert there(one, 1, 2, 3, 4, now=NOW) == []
    one.close()
    other.close()


def test_the_oldest_conversations_of_all_make_room(postgres: Database) -> None:
    small = replace(BOUNDS, conversation_bytes=500, owner_bytes=500, total_bytes=1_000)
    store = open_store(postgres, small)
    for number in range(20):
        assert add(store, new(number, owner=f"owner{number}"), now=NOW + number) == [True]
    left = [number for number in range(20) if there(store, number, owner=f"owner{number}")]
    assert left == list(range(20 - len(left), 20))
    assert 0 < len(left) < 12
    store.close()
