"""Which hosts a gateway answers to, and what a valid `Host` is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.listener.hosts import HostPolicy, split_host


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8080", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::1]:8080", "[::1]"),
        ("my_container:65535", "my_container"),
        ("gw.lan", "gw.lan"),
    ],
)
def test_a_valid_host_is_split_from_its_port(value: str, host: str) -> None:
    assert split_host(value) == host


@pytest.mark.parametrize(
    "value",
    ["", ":80", "a:", "a:b", "a:65536", "a:1:2", "u@a", "a/b", "a,b", "a b", "a?b", "a#b", "::1", "[::1",
     "[fe80::1%en0]",
     "-a", ".a", "a%2e", "a\\b", "é", "a:\uff11"],
)  # fmt: skip
def test_an_invalid_host_is_none(value: str) -> None:
    assert split_host(value) is None


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "llm-gateway", "host.docker.internal", "10.0.0.7", "mac.lan", "[fd00::7]"],
)
def test_the_default_names_the_bind_address_and_configured_names_are_ours(host: str) -> None:
    assert HostPolicy.of("10.0.0.7", ["Mac.LAN", "fd00::7"]).allows(host)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost.", "10.0.0.8", "[fd00::8]"])
def test_anything_else_is_not(host: str) -> None:
    assert not HostPolicy.of("10.0.0.7", ["mac.lan"]).allows(host)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "[::]", ""])  # noqa: S104 - a value to compare
def test_a_listener_on_all_interfaces_answers_to_any_address_but_to_no_strange_name(bind: str) -> None:
    policy = HostPolicy.of(bind)
    assert policy.allows("192.168.1.5")
    assert policy.allows("[fd00::7]")
    assert not policy.allows("evil.example")
    assert not policy.allows("192.168.1.5.evil.example")


@given(st.text(max_size=40))
def test_splitting_never_raises_and_never_keeps_a_separator(value: str) -> None:
    host = split_host(value)
    assert host is None or not set(host.strip("[]")) & set("/@,?# \\%")
