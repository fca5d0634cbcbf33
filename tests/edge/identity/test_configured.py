"""Keys that the configuration names: what an entry may say, and what is to be done."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.identity.configured import (
    Changed,
    ConfiguredKey,
    Dropped,
    KeyClashError,
    Made,
    Replaced,
    Rotated,
    Wanted,
    plan,
)
from edge.identity.grant import Grant
from edge.identity.record import KeyRecord, Origin, Secret
from edge.identity.token import Token, mint
from policies.principal import Quota, Scope
from tests.edge.identity.fixtures import NOW

FILE = Path("/run/secrets/web")
HOUR = 3600.0


def wanted(name: str = "web", token: Token | None = None, **grant: object) -> Wanted:
    return Wanted(Grant(name, **grant), token or mint(os.urandom))  # type: ignore[arg-type]


def digest(token: Token) -> bytes:
    return token.secret.encode()


def matches(secret: Secret, token: Token) -> bool:
    return secret.digest == digest(token)


def stored(each: Wanted, **changes: object) -> KeyRecord:
    """The key as it stands after `each` was made."""
    secret = Secret(digest(each.token), 1, NOW, None)
    record = KeyRecord(each.token.id, each.grant, NOW, secrets=(secret,), origin=Origin.CONFIGURATION)
    return replace(record, **changes)  # type: ignore[arg-type]


def test_an_entry_says_what_keys_create_says() -> None:
    entry = ConfiguredKey(
        name="web",
        secret_file=FILE,
        owner="shop",
        groups=("a",),
        scopes=(Scope.INFERENCE,),
        models=("tiny", "qwen*"),
        networks=(ip_network("10.0.0.0/8"),),
        listeners=("lan",),
        rpm=1,
        tpm=2,
        tpd=3,
        concurrency=4,
        priority="batch",
        expires_at="2027-01-15T08:00:00Z",
        device="Ann's laptop",
        preset="kids",
    )
    assert entry.grant == Grant(
        "web",
        "shop",
        ("a",),
        (Scope.INFERENCE,),
        ("tiny", "qwen*"),
        (ip_network("10.0.0.0/8"),),
        ("lan",),
        Quota(1, 2, 3, 4, "batch"),
        NOW,
        "Ann's laptop",
        "kids",
    )
    assert ConfiguredKey(name="web", secret_file=FILE).grant == Grant("web")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"name": "a\nb"}, "printable"),
        ({"owner": ""}, "printable"),
        ({"device": "a\x1b[2J"}, "printable"),
        ({"groups": (" a",)}, "printable"),
        ({"models": ("a b",)}, "model's name"),
        ({"listeners": ("a b",)}, "letters, digits"),
        ({"priority": "very high"}, "letters, digits"),
        ({"preset": "No Such"}, "beginning with a letter"),
        ({"preset": "none"}, "not 'none'"),
        ({"rpm": 0}, "rpm must be at least 1"),
        ({"scopes": ()}, "at least one scope"),
        ({"expires_at": "soon"}, "expires_at must be a date"),
    ],
)
def test_an_entry_that_no_key_could_be_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ConfiguredKey(**{"name": "web", "secret_file": FILE, **wrong})  # type: ignore[arg-type]


def test_a_new_entry_is_made_and_then_nothing_is_left_to_do() -> None:
    each = wanted()
    assert plan([each], [], matches, NOW) == [Made(each)]
    assert plan([each], [stored(each)], matches, NOW + 10**6) == []


def test_another_grant_changes_the_key_and_another_secret_of_its_id_rotates_it() -> None:
    old = wanted()
    record = stored(old)
    more = replace(old, grant=replace(old.grant, models=("a",)))
    assert plan([more], [record], matches, NOW) == [Changed(record, more.grant)]
    rotated = replace(old, token=mint(os.urandom, key_id=old.token.id))
    assert plan([rotated], [record], matches, NOW) == [Rotated(record, rotated)]


def test_a_secret_that_was_rotated_out_and_stands_in_the_file_again_comes_back() -> None:
    each = wanted()
    ending = replace(stored(each).secrets[0], expires_at=NOW + 5)
    record = stored(each, secrets=(ending, Secret(b"newer", 1, NOW, None)))
    assert plan([each], [record], matches, NOW) == [Rotated(record, each)]


def test_another_key_in_the_file_replaces_the_one_before_after_the_overlap() -> None:
    old, new = wanted(), wanted()
    record = stored(old)
    until = replace(record.grant, expires_at=NOW + HOUR)
    assert plan([new], [record], matches, NOW) == [Made(new), Replaced(record, until)]
    running_out = replace(record, grant=until)
    assert plan([new], [running_out, stored(new)], matches, NOW + 60) == []
    assert plan([new], [running_out, stored(new)], matches, NOW + 2 * HOUR) == []
    at_once = replace(new, overlap=0.0)
    assert plan([at_once], [record], matches, NOW) == [Made(at_once), Dropped(record)]


def test_until_then_it_may_do_what_the_entry_says_today() -> None:
    """An entry that allows less, because its secret was seen, allows the old secret less, too."""
    old = wanted()
    new = wanted(models=("tiny",), networks=(ip_network("10.0.0.0/8"),))
    less = replace(new.grant, expires_at=NOW + HOUR)
    assert plan([new], [stored(old), stored(new)], matches, NOW) == [Replaced(stored(old), less)]
    running_out = stored(replace(old, grant=less))
    assert plan([new], [running_out, stored(new)], matches, NOW + 60) == []
    least = replace(new, grant=replace(new.grant, models=("a",)))
    expected = replace(least.grant, expires_at=NOW + HOUR)
    assert Replaced(running_out, expected) in plan([least], [running_out, stored(new)], matches, NOW + 60)


def test_an_entry_that_is_gone_revokes_and_one_that_comes_back_makes_anew() -> None:
    each = wanted()
    record = stored(each)
    assert plan([], [record], matches, NOW) == [Dropped(record)]
    dropped = replace(record, revoked_at=NOW, revoked_by=Origin.CONFIGURATION, secrets=())
    assert plan([], [dropped], matches, NOW) == []
    assert plan([each], [dropped], matches, NOW) == [Made(each, dropped)]


def test_what_a_person_revoked_never_comes_back() -> None:
    each = wanted()
    revoked = stored(each, revoked_at=NOW, revoked_by=Origin.HAND, secrets=())
    with pytest.raises(KeyClashError, match="was revoked") as caught:
        plan([each], [revoked], matches, NOW)
    assert "keys secret" in caught.value.step


@pytest.mark.parametrize("origin", [Origin.HAND, Origin.COMPOSE])
def test_keys_made_elsewhere_are_never_touched_and_keep_their_names(origin: Origin) -> None:
    mine, other = wanted("web"), stored(wanted("other"), origin=origin)
    assert plan([mine], [other], matches, NOW) == [Made(mine)]
    assert plan([], [other], matches, NOW) == []
    with pytest.raises(KeyClashError, match="has that name"):
        plan([mine], [stored(wanted("web"), origin=origin)], matches, NOW)
    ended = stored(wanted("web"), origin=origin, revoked_at=NOW, revoked_by=Origin.HAND)
    assert plan([mine], [ended], matches, NOW) == [Made(mine)]
    with pytest.raises(KeyClashError, match="made elsewhere"):
        plan([mine], [stored(replace(mine, grant=Grant("x")), origin=origin)], matches, NOW)


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from("abcd"), unique=True))
def test_whatever_was_there_the_keys_of_the_entries_and_no_others_are_left(before: list[str], after: list[str]) -> None:
    tokens = {name: mint(os.urandom) for name in "abcd"}
    records = [stored(wanted(name, tokens[name])) for name in before]
    changes = plan([wanted(name, tokens[name]) for name in after], records, matches, NOW)
    made = {change.wanted.grant.name for change in changes if isinstance(change, Made)}
    dropped = {change.record.grant.name for change in changes if isinstance(change, Dropped)}
    assert (set(before) - dropped) | made == set(after)
    assert len(changes) == len(made) + len(dropped)
