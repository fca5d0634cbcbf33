"""A source is an IPv4 address or an IPv6 /64, however it is spelled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.sources import NOWHERE, source_of


@pytest.mark.parametrize(
    ("ip", "source"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:a00:1", "10.0.0.1"),
        ("::ffff:10.0.0.1%eth0", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:0::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::2%eth1", "fe80::/64"),
        ("fe80::1%", "fe80::/64"),
    ],
)
def test_a_source_is_an_address_or_a_v6_network(ip: str, source: str) -> None:
    assert source_of(ip) == source


@pytest.mark.parametrize(
    "ip", ["", "%", "-", "/run/gateway.sock", "010.0.0.1", "10.0.0.1:80", "[::1]", "1::2::3", "\0", "x" * 10_000]
)
def test_all_that_is_no_address_is_one_source(ip: str) -> None:
    assert source_of(ip) == NOWHERE


@given(st.text())
def test_no_text_raises_and_no_source_is_long(text: str) -> None:
    assert len(source_of(text)) <= len("ffff:ffff:ffff:ffff::/64")


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_peer_is_one_source_on_either_kind_of_socket(number: int) -> None:
    address = IPv4Address(number)
    assert source_of(f"::ffff:{address}") == source_of(str(address)) == str(address)


@given(st.integers(2**64, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_no_address_of_a_64_is_a_fresh_start(number: int, host: int) -> None:
    neighbour = number >> 64 << 64 | host
    assert source_of(str(IPv6Address(number))) == source_of(str(IPv6Address(neighbour)))
    assert source_of(str(IPv6Address(number ^ 1 << 64))) != source_of(str(IPv6Address(number)))
