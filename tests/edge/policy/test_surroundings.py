"""Names of networks and the hour, so that policies need no clock and no arithmetic on addresses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from edge.policy.surroundings import Surroundings
from policies.exchange import Client

NETWORKS = {
    "office": (ip_network("10.1.0.0/16"), ip_network("fd00::/8")),
    "all": (ip_network("0.0.0.0/0"),),
    "here": (ip_network("127.0.0.0/8"),),
}
# 2026-11-21 23:30:15.5 UTC, a Saturday.
NOW = 1_795_303_815_500_000_000


@pytest.mark.parametrize(
    ("ip", "names"),
    [
        ("10.1.2.3", ("all", "office")),
        ("::ffff:10.1.2.3", ("all", "office")),
        ("fd00::1", ("office",)),
        ("127.0.0.1", ("all", "here")),
        ("::1", ()),
        ("", ()),
    ],
)
def test_an_address_has_the_names_of_all_its_networks(ip: str, names: tuple[str, ...]) -> None:
    place = Surroundings(NETWORKS, {"lan": 8443}).place(Client(ip, 1, "lan"))
    assert (place.ip, place.networks, place.listener, place.port) == (ip.removeprefix("::ffff:"), names, "lan", 8443)


def test_whether_the_connection_is_encrypted_is_told_of_each() -> None:
    surroundings = Surroundings({}, {})
    assert surroundings.place(Client("10.0.0.1", 1, "lan", "TLSv1.3")).tls
    assert not surroundings.place(Client("10.0.0.1", 1, "lan")).tls


def test_the_hour_is_the_policys() -> None:
    utc = Surroundings({}, {}, zone="UTC").instant(NOW)
    assert (utc.now_ns, utc.hour, utc.minute, utc.weekday, utc.tz) == (NOW, 23, 30, 5, "UTC")
    berlin = Surroundings({}, {}, zone="Europe/Berlin").instant(NOW)
    assert (berlin.hour, berlin.weekday, berlin.iso, berlin.tz) == (0, 6, "2026-11-22T00:30:15+01:00", "Europe/Berlin")


def test_local_is_a_zone_with_a_name() -> None:
    here = Surroundings({}, {}).instant(NOW)
    assert 0 <= here.hour < 24
    assert here.tz


def test_an_unknown_zone_is_told() -> None:
    with pytest.raises(KeyError):
        Surroundings({}, {}, zone="Mars/Olympus")
