"""PolicyStore: what is written is read back, one of two who apply wins, and only what runs raises the counter."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.identity.state import StateError
from edge.policy.errors import PolicyMoved, PolicyToolError
from edge.policy.store import PolicyStore
from edge.policy.store_types import Action, Instance
from policies.bundle import Bundle
from policies.json import Object
from tests.edge.policy.fixtures import NOW, Clock, bundle, open_policies

A, B = bundle("a"), bundle("b", x=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> PolicyStore:
    return open_policies(tmp_path, clock)


def put(store: PolicyStore, policy: Bundle | None, after: int, *, author: str = "ann") -> None:
    store.apply(policy, after=after, author=author, note="n", action=Action.APPLY, report={"tests": 1})


def test_nothing_is_applied_at_first(store: PolicyStore) -> None:
    assert (store.active(), store.head(), store.history(), store.shadow()) == (None, None, [], None)


def test_what_was_applied_is_in_force_for_another_process(store: PolicyStore, tmp_path: Path) -> None:
    put(store, B, 0)
    active = open_policies(tmp_path).active()
    assert active is not None
    assert (active.bundle, active.revision, active.created_at) == (B, B.revision, NOW)


def test_the_history_says_who_when_why_and_what_was_before(store: PolicyStore, clock: Clock) -> None:
    put(store, A, 0)
    clock.at += 1
    store.apply(B, after=1, author="bob", note="more", action=Action.ROLLBACK, report={})
    newest, oldest = store.history()
    assert (newest.revision, newest.previous, newest.action, newest.at) == (
        B.revision,
        A.revision,
        Action.ROLLBACK,
        NOW + 1,
    )
    assert (newest.author, newest.note, newest.seq) == ("bob", "more", 2)
    assert (oldest.previous, oldest.report) == (None, {"tests": 1})
    assert store.history(1) == [newest]


def test_the_default_policy_can_be_in_force_again(store: PolicyStore) -> None:
    put(store, A, 0)
    put(store, None, 1)
    assert store.active() is None
    head = store.head()
    assert head is not None
    assert (head.revision, head.previous) == (None, A.revision)


def test_the_same_policy_may_be_applied_twice(store: PolicyStore) -> None:
    put(store, A, 0)
    put(store, B, 1)
    put(store, A, 2)
    assert [entry.revision for entry in store.history()] == [A.revision, B.revision, A.revision]


def test_who_applies_on_old_knowledge_is_told_and_changes_nothing(store: PolicyStore) -> None:
    put(store, A, 0, author="ann")
    version = store.version()
    with pytest.raises(PolicyMoved, match="by ann"):
        put(store, B, 0)
    active = store.active()
    assert active is not None
    assert active.bundle == A
    assert store.version() == version
    with pytest.raises(PolicyToolError):
        store.find(B.revision)


def test_of_two_who_apply_at_once_one_wins(store: PolicyStore, tmp_path: Path) -> None:
    ready = threading.Barrier(8)
    won: list[int] = []

    def race(number: int) -> None:
        mine = open_policies(tmp_path)
        ready.wait(30)
        try:
            put(mine, bundle(str(number)), 0)
        except PolicyMoved:
            return
        won.append(number)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 1
    active = store.active()
    assert active is not None
    assert active.bundle == bundle(str(won[0]))
    assert len(store.history()) == 1


def test_a_revision_is_found_by_its_beginning(store: PolicyStore) -> None:
    put(store, A, 0)
    assert store.find(A.revision[:6]).bundle == A
    assert store.find(A.revision).bundle == A
    for wrong in ("", A.revision[:5], "g" * 6, "0" * 64, "%" * 8, A.revision + "0", "' OR 1=1"):
        with pytest.raises(PolicyToolError, match="no policy"):
            store.find(wrong)


def test_two_revisions_with_one_beginning_are_told(store: PolicyStore, tmp_path: Path) -> None:
    put(store, A, 0)
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        other = A.revision[:8] + "0" * 56
        connection.execute("INSERT INTO policy_revisions VALUES (?, '{}', '{}', '{}', 0)", (other,))
    connection.close()
    with pytest.raises(PolicyToolError, match="give more digits"):
        store.find(A.revision[:8])


def test_a_row_that_was_changed_behind_our_back_is_refused(store: PolicyStore, tmp_path: Path) -> None:
    put(store, A, 0)
    store.start_shadow(B, 1.0, "ann")
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        connection.execute("UPDATE policy_revisions SET data = '{\"open\": true}'")
    connection.close()
    with pytest.raises(StateError, match="damaged"):
        store.active()
    assert store.shadow() is None
    assert store.stop_shadow() is not None
    put(store, bundle("c"), 1)  # the way out
    assert store.active() is not None


def test_drafts_come_and_go(store: PolicyStore, clock: Clock) -> None:
    store.save_draft("opens-gpu", A, "ann")
    clock.at += 1
    store.save_draft("opens-gpu", B, "bob")
    store.save_draft("b", A, "ann")
    assert [draft.name for draft in store.drafts()] == ["b", "opens-gpu"]
    draft = store.draft("opens-gpu")
    assert (draft.bundle, draft.author, draft.updated_at) == (B, "bob", NOW + 1)
    assert store.delete_draft("opens-gpu") == draft
    for gone in ("opens-gpu", "", "\x00", "\ud800", "' OR 1=1"):
        with pytest.raises(PolicyToolError, match="no such draft"):
            store.draft(gone)


@pytest.mark.parametrize(
    "name", ["", "active", "default", "a/b", "A", ".hidden", "x" * 65, "a b", "abcdef", "12345678"]
)
def test_a_draft_cannot_be_mistaken_for_something_else(store: PolicyStore, name: str) -> None:
    with pytest.raises(PolicyToolError, match="draft's name"):
        store.save_draft(name, A, "ann")


def test_only_what_runs_otherwise_raises_the_counter(store: PolicyStore) -> None:
    seen = [store.version()]
    store.save_draft("d", A, "ann")
    store.delete_draft("d")
    store.report_instance(Instance("i", {}, "r", NOW))
    assert store.version() == seen[0]
    put(store, A, 0)
    seen.append(store.version())
    shadow = store.start_shadow(B, 0.5, "ann")
    seen.append(store.version())
    store.count_shadow(shadow.identity, lambda sums: sums)
    assert store.version() == seen[-1]
    store.stop_shadow()
    seen.append(store.version())
    assert seen == sorted(set(seen))


def test_gateways_count_into_one_shadow(store: PolicyStore, tmp_path: Path) -> None:
    identity = store.start_shadow(B, 0.5, "ann").identity

    def one_more(sums: Object) -> Object:
        seen = sums.get("seen", 0)
        assert isinstance(seen, int)
        return {"seen": seen + 1}

    def count() -> None:
        mine = open_policies(tmp_path)
        for _ in range(20):
            assert mine.count_shadow(identity, one_more)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shadow = store.shadow()
    assert shadow is not None
    assert (shadow.counters, shadow.bundle, shadow.sample) == ({"seen": 80}, B, 0.5)


def test_a_shadow_that_is_over_counts_no_more_and_leaves_no_text(store: PolicyStore, clock: Clock) -> None:
    old = store.start_shadow(A, 1.0, "ann")
    clock.at += 1
    new = store.start_shadow(B, 1.0, "ann")
    assert not store.count_shadow(old.identity, lambda _: {"x": 1})
    with pytest.raises(PolicyToolError):
        store.find(A.revision)
    assert store.stop_shadow() == new
    assert store.stop_shadow() is None
    with pytest.raises(PolicyToolError):
        store.find(B.revision)


def test_a_shadow_that_is_applied_stays_in_the_history(store: PolicyStore) -> None:
    store.start_shadow(A, 1.0, "ann")
    put(store, A, 0)
    store.stop_shadow()
    assert store.find(A.revision).bundle == A


def test_the_fleet_says_its_last_word_and_the_silent_are_forgotten(store: PolicyStore) -> None:
    store.report_instance(Instance("old", {}, "r1", NOW - 8 * 86_400))
    store.report_instance(Instance("a", {"zone": "eu"}, "r1", NOW - 10))
    store.report_instance(Instance("a", {"zone": "eu"}, "r2", NOW, "bundle_error", "line 1\nline\x002" + "x" * 5_000))
    (only,) = store.instances()
    assert (only.id, only.labels, only.revision, only.code) == ("a", {"zone": "eu"}, "r2", "bundle_error")
    assert only.message.startswith("line 1 line 2xxx")
    assert len(only.message) == 2_000


def test_author_and_note_are_kept_as_one_line(store: PolicyStore) -> None:
    store.apply(A, after=0, author="\x1b[31mann\n", note="a\nb" + "c" * 5_000, action=Action.APPLY, report={})
    head = store.head()
    assert head is not None
    assert (head.author, head.note[:5], len(head.note)) == ("[31mann", "a bcc", 2_000)


def test_an_apply_that_is_killed_half_way_changes_nothing(store: PolicyStore, tmp_path: Path) -> None:
    """One transaction: policy, history and counter, or none of them."""
    script = f"""
import os
from pathlib import Path
from edge.policy import store_statements as sql
from edge.policy.store_types import Action
from tests.edge.policy.fixtures import bundle, open_policies
sql.BUMP = type("Dies", (), {{"_execute_on_connection": lambda *_: os._exit(9)}})()
store = open_policies(Path({str(tmp_path)!r}))
store.apply(bundle("x"), after=0, author="a", note="", action=Action.APPLY, report={{}})
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ended.returncode == 9, ended.stderr
    assert (store.active(), store.history(), store.version()) == (None, [], 1)
