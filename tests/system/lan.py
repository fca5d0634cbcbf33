"""Hosts on a LAN: network namespaces joined by a bridge, each with an address of its own. Linux and root only.

    gateway 10.77.N.1 ── bridge ── allowed 10.77.N.10
                              └── stranger 10.77.N.66

Names and addresses hold the process id, so that runs beside each other do not meet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.system.process import ROOT

HOSTS: Final = {"gateway": 1, "allowed": 10, "stranger": 66}


def why_not() -> str:
    """Why there can be no LAN here; "" if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    probe = f"lgw-probe-{os.getpid()}"
    try:
        _ip("netns", "add", probe)
    except (OSError, subprocess.CalledProcessError):
        return "this machine cannot make network namespaces (`ip netns add` fails)"
    _ip("netns", "del", probe)
    return ""


@dataclass(frozen=True, slots=True)
class Host:
    """One of them: what is run `inside` it sees this LAN and nothing else."""

    name: str
    namespace: str
    address: str

    def command(self, *arguments: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace, *arguments)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One command to its end, whatever that is."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def python(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """What a script prints; AssertionError if it fails."""
        done = self.run(sys.executable, "-c", script, *arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def lan() -> Iterator[Mapping[str, Host]]:
    """The hosts, by name, for as long as the context lasts."""
    mark = os.getpid() % 100_000
    bridge = f"lgwbr{mark}"
    hosts = {
        name: Host(name, f"lgw-{name}-{mark}", f"10.77.{mark % 250}.{number}") for name, number in HOSTS.items()
    }
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "up")
        for index, host in enumerate(hosts.values()):
            _join(host, f"lgw{index}x{mark}", bridge)
        yield hosts
    finally:
        for host in hosts.values():
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", host.namespace)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", bridge)


def _join(host: Host, cable: str, bridge: str) -> None:
    _ip("netns", "add", host.namespace)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("link", "set", cable, "master", bridge, "up")
    for arguments in (
        ("addr", "add", f"{host.address}/24", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("link", "set", "lo", "up"),
    ):
        _ip("-n", host.namespace, *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, timeout=30)


def names_file(folder: Path, entries: Mapping[str, str]) -> Path:
    """For `curl --resolve` there is no need of it; Python's resolver wants a hosts file, which namespaces bind-mount."""
    file = folder / "hosts"
    file.write_text("".join(f"{address} {name}\n" for name, address in entries.items()))
    return file


def spelled(arguments: Sequence[str]) -> str:
    """For messages of failed tests."""
    return " ".join(arguments)
