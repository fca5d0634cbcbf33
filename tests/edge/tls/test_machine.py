"""This machine's own names and addresses."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import psutil
import pytest

from edge.tls.machine import addresses, machine
from edge.tls.names import Address, Bounds, names_of


def told_by_psutil() -> set[Address]:
    """Without link-local ones, which no URL can hold."""
    found = (each for card in psutil.net_if_addrs().values() for each in card)
    read = (ip_address(each.address) for each in found if each.family in {socket.AF_INET, socket.AF_INET6})
    return {address for address in read if not (address.version == 6 and address.is_link_local)}


def test_the_addresses_of_all_interfaces() -> None:
    before, found, after = told_by_psutil(), set(addresses()), told_by_psutil()
    assert ip_address("127.0.0.1") in found
    assert before & after <= found <= before | after  # other tests bring up bridges meanwhile


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("Studio", ("studio.local",)),
        ("studio.local", ("studio.local",)),
        ("studio.home.arpa", ("studio.home.arpa", "studio.local")),
    ],
)
def test_the_host_name_and_its_name_on_the_link_and_none_that_is_a_whole_domain(
    host: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority for `studio` could sign for every site below .studio."""
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert machine().dns == names
    assert not Bounds.around(names_of("0.0.0.0", (), machine())).allow_name("bank.studio")  # noqa: S104
