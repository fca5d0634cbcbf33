"""Kept responses: whole conversations, within bounds, for their owner, and really gone when they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from edge.responses.settings import ResponseSettings
from edge.responses.store import New, ResponseStore, TooLong, open_store
from edge.store.database import Database
from policies.json import JSON, Object, as_list, as_object

NOW = 1_800_000_000.0
KEEP = 100.0


BOUNDS = ResponseSettings(keep=KEEP)


def make(folder: Path, bounds: ResponseSettings = BOUNDS) -> ResponseStore:
    return open_store(Database(f"sqlite:///{folder / 'gateway.db'}"), bounds)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResponseStore]:
    made = make(tmp_path)
    yield made
    made.close()


def identity(number: int) -> str:
    return f"resp_{number:032x}"


def new(number: int, previous: int | None = None, *, owner: str = "ann", text: str = "") -> New:
    items: list[JSON] = [{"role": "user", "content": f"in {number}{text}"}]
    document: Object = {"id": identity(number), "output": [{"role": "assistant", "content": f"out {number}"}]}
    return New(identity(number), owner, "" if previous is None else identity(previous), items, document)


def add(store: ResponseStore, *news: New, now: float = NOW) -> list[bool]:
    return [store.add(each, now) for each in news]


def chain(store: ResponseStore, number: int, *, owner: str = "ann", now: float = NOW) -> list[JSON] | None:
    found = store.chain(owner, identity(number), now)
    return None if found is None else [as_object(item)["content"] for kept in found for item in kept.all_items]


def there(store: ResponseStore, *numbers: int, owner: str = "ann", now: float = NOW) -> list[int]:
    return [number for number in numbers if store.find(owner, identity(number), now) is not None]


def test_a_conversation_is_all_of_it_in_order_and_may_branch(store: ResponseStore) -> None:
    assert all(add(store, new(1), new(2, 1), new(3, 2), new(4, 1)))
    assert chain(store, 3) == ["in 1", "out 1", "in 2", "out 2", "in 3", "out 3"]
    assert chain(store, 4) == ["in 1", "out 1", "in 4", "out 4"]
    assert chain(store, 1) == ["in 1", "out 1"]


def test_nothing_of_it_is_another_owners(store: ResponseStore) -> None:
    add(store, new(1), new(2, 1))
    assert store.find("bob", identity(1), NOW) is None
    assert chain(store, 2, owner="bob") is None
    assert store.several("bob", [identity(1)], NOW) is None
    assert not store.delete("bob", identity(1), NOW)
    assert add(store, new(3, 2, owner="bob")) == [False]
    assert there(store, 1, 2, 3) == [1, 2]


def test_a_conversation_with_a_hole_is_none(store: ResponseStore) -> None:
    add(store, new(1), new(2, 1), new(3, 2))
    assert store.delete("ann", identity(2), NOW)
    assert not store.delete("ann", identity(2), NOW)
    assert chain(store, 3) is None
    assert chain(store, 1) == ["in 1", "out 1"]
    assert add(store, new(4, 2)) == [False]
    assert there(store, 1, 2, 3, 4) == [1, 3]


def test_a_conversation_lives_as_long_as_it_goes_on(store: ResponseStore) -> None:
    add(store, new(1), new(9))
    add(store, new(2, 1), now=NOW + KEEP - 1)
    later = NOW + KEEP + 1
    assert chain(store, 2, now=later) == ["in 1", "out 1", "in 2", "out 2"]
    assert there(store, 1, 2, 9, now=later) == [1, 2]
    assert store.sweep(later) == 1
    assert store.sweep(later + KEEP) == 2
    assert there(store, 1, 2, 9) == []


def test_several_are_all_or_none(store: ResponseStore) -> None:
    add(store, new(1), new(2))
    found = store.several("ann", [identity(1), identity(2)], NOW)
    assert found is not None
    assert {as_object(as_list(kept.document["output"])[0])["content"] for kept in found} == {"out 1", "out 2"}
    assert store.several("ann", [identity(1), identity(3)], NOW) is None


def test_an_owners_oldest_conversation_makes_room(tmp_path: Path) -> None:
    store = make(tmp_path, replace(BOUNDS, per_owner=3))
    add(store, new(1), new(2, 1))
    add(store, new(3), now=NOW + 1)
    add(store, new(9, owner="bob"), now=NOW)
    assert add(store, new(4), now=NOW + 2) == [True]
    assert there(store, 1, 2, 3, 4) == [3, 4]
    assert there(store, 9, owner="bob") == [9]
    store.close()


def test_a_conversation_that_fills_all_there_is_goes_on_unkept(tmp_path: Path) -> None:
    store = make(tmp_path, replace(BOUNDS, per_owner=2))
    assert add(store, new(1), new(2, 1), new(3, 2)) == [True, True, False]
    assert there(store, 1, 2, 3) == [1, 2]
    store.close()


def test_bytes_are_bounded_for_an_owner_for_all_and_for_one_conversation(tmp_path: Path) -> None:
    text = "x" * 1000
    store = make(tmp_path, replace(BOUNDS, conversation_bytes=2_500, owner_bytes=5_000, total_bytes=8_000))
    assert add(store, new(1, text="x" * 6_000)) == [False]
    add(store, new(1, text=text), new(2, 1, text=text), new(3, 2, text=text))
    assert len(chain(store, 2) or []) == 4
    with pytest.raises(TooLong):
        chain(store, 3)
    with pytest.raises(TooLong):
        store.several("ann", [identity(1), identity(2), identity(3)], NOW)
    for number in range(10, 40):  # other owners, one conversation each
        add(store, new(number, owner=f"owner{number}", text=text), now=NOW + number)
    left = [number for number in range(10, 40) if there(store, number, owner=f"owner{number}")]
    assert left == list(range(40 - len(left), 40))
    assert 4 <= len(left) <= 8
    assert there(store, 1, 2, 3) == []
    store.close()


def test_a_conversation_has_no_more_parts_than_one_document(store: ResponseStore) -> None:
    """Of eight requests that are each within the bound, a request of a hundred bytes made 300 MiB of memory."""
    part: JSON = {"type": "input_text", "text": ""}
    items: list[JSON] = [{"role": "user", "content": [part] * 1_000}] * 15
    add(store, *(new(number, number - 1 or None)._replace(items=items) for number in range(1, 9)))
    assert store.chain("ann", identity(2), NOW) is not None
    with pytest.raises(TooLong):
        store.chain("ann", identity(8), NOW)
    with pytest.raises(TooLong):
        store.several("ann", map(identity, range(1, 9)), NOW)
    assert there(store, 8) == [8]


def test_what_is_gone_on_from_has_no_probabilities(store: ResponseStore) -> None:
    said: Object = {"type": "output_text", "text": "x", "annotations": [], "logprobs": [{"token": "x"}]}
    document: Object = {"id": identity(1), "output": [{"type": "message", "role": "assistant", "content": [said]}]}
    add(store, new(1)._replace(document=document))
    assert "logprobs" not in repr(store.chain("ann", identity(1), NOW))
    shown = store.find("ann", identity(1), NOW)
    assert shown is not None
    assert shown.document == document


class Watched(Database):
    """Notes how many rows each transaction changed."""

    def __init__(self, url: str) -> None:
        self.changes: list[int] = []
        super().__init__(url)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            before: int = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
            yield connection
            self.changes.append(connection.exec_driver_sql("SELECT total_changes()").scalar_one() - before)


def test_what_expired_together_is_deleted_bite_by_bite(tmp_path: Path) -> None:
    """512 MiB in one transaction kept the database's lock for longer than the ledger waits for it."""
    database = Watched(f"sqlite:///{tmp_path / 'gateway.db'}")
    store = open_store(database, BOUNDS)
    add(
        store, *(new(number, text="x" * (1 << 20)) for number in range(10)), *(new(number) for number in range(10, 700))
    )
    add(store, new(700), now=NOW + KEEP)
    database.changes.clear()
    assert 690 < store.sweep(NOW + KEEP) < 700, "keeping one deleted a bite of the others"
    assert len(database.changes) >= 3
    assert max(database.changes) <= 500
    assert there(store, 700, now=NOW + KEEP) == [700]
    store.close()
    database.close()


def test_what_is_deleted_is_not_in_the_file(tmp_path: Path) -> None:
    store = make(tmp_path)
    canary = "canary-of-a-prompt"
    add(store, new(1, text=canary * 500), new(2))
    assert store.delete("ann", identity(1), NOW)
    store.close()  # the last connection folds SQLite's log into the file
    for file in tmp_path.glob("gateway.db"):
        assert canary.encode() not in file.read_bytes()


def test_a_long_conversation_is_read_as_a_whole(tmp_path: Path) -> None:
    store = make(tmp_path, replace(BOUNDS, per_owner=3_000))
    previous: int | None = None
    for number in range(600):
        add(store, new(number, previous))
        previous = number
    assert len(chain(store, 599) or []) == 1_200
    store.close()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 8), st.sampled_from(["add", "delete"])), max_size=12))
@settings(max_examples=25)
def test_whatever_happens_a_conversation_is_whole_or_none(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, str]]
) -> None:
    store = make(tmp_path_factory.mktemp("store"), replace(BOUNDS, per_owner=4))
    before: dict[int, int | None] = {}
    for number, (_, pick, what) in enumerate(steps):
        if what == "delete":
            store.delete("ann", identity(pick), NOW)
        else:
            previous = pick if pick in before else None
            if store.add(new(number, previous), NOW + number):
                before[number] = previous
    for number in before:
        expected: list[int] = []
        at: int | None = number
        while at is not None:
            expected.insert(0, at)
            at = before[at]
        found = chain(store, number, now=NOW + len(steps))
        assert found is None or found == [text for each in expected for text in (f"in {each}", f"out {each}")]
    store.close()
