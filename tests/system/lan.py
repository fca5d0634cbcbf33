"""A LAN: two hosts, each a network namespace with a cable to this machine's bridge. Linux and root only.

    this machine 10.77.N.1 ── bridge ─┬─ friend   10.77.N.10
                                      └─ stranger 10.77.N.66

Names and addresses hold the process id, so that runs beside each other do not meet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.system.process import ROOT


def why_not() -> str:
    """Why there can be no LAN here; "" if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "did not run: network namespaces need root on Linux"
    probe = f"lgw-probe-{os.getpid()}"
    try:
        _ip("netns", "add", probe)
    except (OSError, subprocess.CalledProcessError):
        return "did not run: this machine makes no network namespaces (`ip netns add` fails)"
    _ip("netns", "del", probe)
    return ""


@dataclass(frozen=True, slots=True)
class Host:
    """One of them: what runs on it sees this LAN and nothing else."""

    address: str
    namespace: str

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One command to its end, whatever that is."""
        return subprocess.run(
            ("ip", "netns", "exec", self.namespace, *command),
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@dataclass(frozen=True, slots=True)
class Lan:
    """`here` is this machine's own address on it."""

    here: str
    friend: Host
    stranger: Host


@contextmanager
def lan() -> Iterator[Lan]:
    """The LAN, for as long as the context lasts."""
    mark = os.getpid() % 1_000_000
    net, bridge = f"10.77.{mark % 250}", f"lgwb{mark}"
    hosts = Lan(f"{net}.1", Host(f"{net}.10", f"lgw-friend-{mark}"), Host(f"{net}.66", f"lgw-stranger-{mark}"))
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{hosts.here}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, host in enumerate((hosts.friend, hosts.stranger)):
            _plug_in(host, f"lgw{number}x{mark}", bridge)
        yield hosts
    finally:
        for host in (hosts.friend, hosts.stranger):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", host.namespace)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", bridge)


def _plug_in(host: Host, cable: str, bridge: str) -> None:
    _ip("netns", "add", host.namespace)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("link", "set", cable, "master", bridge, "up")
    _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.namespace, "link", "set", "eth0", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, timeout=30)
