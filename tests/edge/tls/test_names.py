"""What a certificate has to say, and what an authority may."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from edge.tls.names import Bounds, Names, names_of

MACHINE = Names.of(["Studio", "studio.local."], [ip_address("192.168.1.5"), ip_address("fd00::5")])


def test_names_are_lower_case_sorted_and_each_once() -> None:
    names = Names.of(["B", "a.", "b"], [ip_address("10.0.0.2"), ip_address("10.0.0.10"), ip_address("10.0.0.2")])
    assert names == Names(("a", "b"), (ip_address("10.0.0.2"), ip_address("10.0.0.10")))
    assert str(names) == "a, b, 10.0.0.2, 10.0.0.10"


@pytest.mark.parametrize("name", ["", "a b", "*.local", "-a", "a..b", "ä.local", "a" * 64, "a." * 127 + "aa", "a\n"])
def test_what_is_no_dns_name_does_not_get_into_a_certificate(name: str) -> None:
    assert Names.of([name], []).dns == ()


def test_an_address_loses_its_zone() -> None:
    assert Names.of([], [ip_address("fe80::1%eth0")]).addresses == (ip_address("fe80::1"),)


def test_on_a_wildcard_all_names_and_addresses_of_the_machine_lead_to_the_listener() -> None:
    names = names_of("::", ["llm.example.net", "203.0.113.7"], MACHINE)
    assert set(names.dns) == {
        *("localhost", "llm-gateway", "host.docker.internal", "studio", "studio.local", "llm.example.net")
    }
    assert {str(address) for address in names.addresses} == {
        *("127.0.0.1", "::1", "192.168.1.5", "fd00::5", "203.0.113.7")
    }


def test_one_address_is_the_only_one() -> None:
    names = names_of("192.168.1.5", [], MACHINE)
    assert {str(address) for address in names.addresses} == {"127.0.0.1", "::1", "192.168.1.5"}
    assert "studio.local" in names.dns


def test_nobody_reaches_a_loopback_listener_by_the_machines_names() -> None:
    names = names_of("127.0.0.1", [], MACHINE)
    assert names == Names.of(
        ["localhost", "llm-gateway", "host.docker.internal"], [ip_address("127.0.0.1"), ip_address("::1")]
    )


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("studio.local", True),
        ("a.b.local", True),
        ("local", True),
        ("localhost", True),
        ("llm-gateway", True),
        ("studio", True),
        ("x.studio", True),
        ("notstudio", False),
        ("example.com", False),
        ("local.example.com", False),
        ("evil-local", False),
    ],
)
def test_names_within_bounds(name: str, allowed: bool) -> None:
    assert Bounds.around(MACHINE).allow_name(name) is allowed


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.168.77.1", True),
        ("10.1.2.3", True),
        ("100.100.1.2", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fd12::1", True),
        ("203.0.113.7", True),
        ("203.0.113.8", False),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("2001:db8::1", False),
    ],
)
def test_addresses_within_bounds(address: str, allowed: bool) -> None:
    bounds = Bounds.around(Names.of([], [ip_address("203.0.113.7")]))
    assert bounds.allow_address(ip_address(address)) is allowed


def test_bounds_name_only_what_is_not_covered_already() -> None:
    bounds = Bounds.around(Names.of(["studio.local", "studio.lan"], [ip_address("10.0.0.1"), ip_address("8.8.8.8")]))
    assert bounds.dns == ("local", "localhost", "llm-gateway", "host.docker.internal", "studio.lan")
    assert ip_network("8.8.8.8/32") in bounds.ranges
    assert ip_network("10.0.0.1/32") not in bounds.ranges


def test_what_lies_outside_is_told_apart() -> None:
    wanted = Names.of(["a.local", "a.example.com"], [ip_address("10.0.0.1"), ip_address("9.9.9.9")])
    inside, outside = Bounds.around(Names((), ())).split(wanted)
    assert inside == Names.of(["a.local"], [ip_address("10.0.0.1")])
    assert outside == Names.of(["a.example.com"], [ip_address("9.9.9.9")])
