"""How a platform is told to trust the authority, and to forget it again. Pure: commands, to be read or run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

Command: TypeAlias = tuple[str, ...]


class Platform(Enum):
    """Where trust is kept."""

    MACOS = "macOS, the login keychain"
    DEBIAN = "Debian and Ubuntu"
    FEDORA = "Fedora and Red Hat"


@dataclass(frozen=True, slots=True)
class Plan:
    """`commands` in this order; `root` if they want to be run by root."""

    commands: tuple[Command, ...]
    root: bool

    def lines(self, *, is_root: bool) -> list[str]:
        """As one would type them."""
        sudo = ("sudo",) if self.root and not is_root else ()
        return [shlex.join((*sudo, *command)) for command in self.commands]


def platform_of(sys_platform: str, folders: Sequence[str]) -> Platform | None:
    """Which one this is; `folders` are those of `PLACES` that are there. None: unknown, as Alpine without the tool."""
    if sys_platform == "darwin":
        return Platform.MACOS
    return next((platform for platform, folder in PLACES.items() if folder in folders), None)


PLACES = {
    Platform.DEBIAN: "/usr/local/share/ca-certificates",
    Platform.FEDORA: "/etc/pki/ca-trust/source/anchors",
}


def trusting(platform: Platform, file: Path, fingerprint: str) -> Plan:
    """To trust the certificate in `file`; `fingerprint` tells it from those of other gateways."""
    target = _installed(platform, fingerprint)
    match platform:
        case Platform.MACOS:
            # For TLS servers only (-p ssl), and for this user: the system asks for the password.
            return Plan((("security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", str(file)),), root=False)
        case Platform.DEBIAN:
            return Plan((("install", "-m", "0644", str(file), target), ("update-ca-certificates",)), root=True)
        case Platform.FEDORA:
            return Plan((("install", "-m", "0644", str(file), target), ("update-ca-trust", "extract")), root=True)


def forgetting(platform: Platform, file: Path, fingerprint: str) -> Plan:
    """To take it back."""
    target = _installed(platform, fingerprint)
    match platform:
        case Platform.MACOS:
            return Plan((("security", "remove-trusted-cert", str(file)),), root=False)
        case Platform.DEBIAN:
            return Plan((("rm", "-f", target), ("update-ca-certificates",)), root=True)
        case Platform.FEDORA:
            return Plan((("rm", "-f", target), ("update-ca-trust", "extract")), root=True)


def _installed(platform: Platform, fingerprint: str) -> str:
    """update-ca-certificates reads `*.crt` only."""
    return f"{PLACES.get(platform, '')}/llm-gateway-{fingerprint.replace(':', '')[:16].lower()}.crt"
