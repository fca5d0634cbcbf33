"""Connections are counted in all, per source, and by whether they are known."""

from __future__ import annotations

import pytest

from edge.listener.census import Census
from edge.listener.limits import ListenerLimits
from policies.sources import source_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fd00:1:2:3::1", "fd00:1:2:3:ffff::9", True),
        ("fd00:1:2:3::1", "fd00:1:2:4::1", False),
        ("fe80::1%en0", "fe80::1%en0", True),
        ("", "", True),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_a_source_is_an_address_or_a_64(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


def test_the_global_cap() -> None:
    census = Census(ListenerLimits(connections=2, unauthenticated_share=1))
    assert [census.admit(str(n)) for n in range(3)] == [True, True, False]
    assert (census.total, census.refused) == (2, 1)
    census.release("0", stranger=True)
    assert census.admit("3")


def test_the_cap_per_source() -> None:
    census = Census(ListenerLimits(connections_per_source=1))
    assert [census.admit("a"), census.admit("a"), census.admit("b")] == [True, False, True]
    census.release("a", stranger=True)
    assert census.admit("a")


def test_strangers_share_a_part_and_known_callers_leave_it() -> None:
    census = Census(ListenerLimits(connections=4, unauthenticated_share=0.5))
    assert [census.admit(str(n)) for n in range(3)] == [True, True, False]
    census.authenticated()
    assert census.strangers == 1
    assert census.admit("3")
    census.release("0", stranger=False)
    census.release("1", stranger=True)
    census.release("3", stranger=True)
    assert (census.total, census.strangers) == (0, 0)


def test_a_source_that_left_leaves_nothing_behind() -> None:
    census = Census(ListenerLimits())
    for n in range(50):
        assert census.admit(str(n))
        census.release(str(n), stranger=True)
    assert not census._sources
