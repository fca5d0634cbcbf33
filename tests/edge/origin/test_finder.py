"""Who is at an address: asked for neighbours only, and Compose's names only where Docker confirms them."""

from __future__ import annotations

import pytest

from edge.origin.docker_dns import DockerDns
from edge.origin.finder import Finder, own_address
from policies.origin import Container
from tests.edge.origin.dns_server import dns_name, docker, serving

OWN = "172.18.0.9"
NET = {"172.18": OWN}
NAMES = {
    OWN: "app-gateway-1.app_default",
    "172.18.0.2": "app-web-1.app_default",
    "172.18.0.3": "custom.app_default",
    "172.18.0.4": "app-fake-1.app_default",
    "172.18.0.5": "my-other-app-1.app_default",
    "172.18.0.1": "host.lan",
}
HOSTS = {
    "web.app_default": "172.18.0.2",
    "fake.app_default": "172.18.0.2",
    "other-app.app_default": "172.18.0.5",
}


def near(ip: str) -> str | None:
    return OWN if ip.startswith("172.18.") else None


@pytest.mark.parametrize(
    ("ip", "found"),
    [
        ("172.18.0.2", Container("app-web-1", "app_default", "app", "web")),
        ("172.18.0.3", Container("custom", "app_default")),
        ("172.18.0.4", Container("app-fake-1", "app_default")),  # called so by hand: another one is the service
        ("172.18.0.5", Container("my-other-app-1", "app_default", "my", "other-app")),
        ("172.18.0.1", None),
        ("172.18.0.7", None),
    ],
)
async def test_containers(ip: str, found: Container | None) -> None:
    async with serving(docker(NAMES, HOSTS)) as (_, port):
        assert await Finder(DockerDns("127.0.0.1", port, seconds=20.0), near).find(ip) == found


@pytest.mark.parametrize("ip", ["192.168.1.5", OWN])
async def test_nobody_is_asked_about_others_than_neighbours(ip: str) -> None:
    async with serving(docker({ip: "laptop.app_default", **NAMES})) as (server, port):
        assert await Finder(DockerDns("127.0.0.1", port, seconds=20.0), near).find(ip) is None
        assert server.asked == []


async def test_an_address_without_a_name_is_one_question() -> None:
    async with serving(docker({})) as (server, port):
        assert await Finder(DockerDns("127.0.0.1", port, seconds=20.0), near).find("172.18.0.7") is None
        assert server.asked == [dns_name("172.18.0.7")]


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "no address", ""])
def test_the_machine_itself_is_no_neighbour(ip: str) -> None:
    assert own_address(ip) is None
