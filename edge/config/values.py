"""Value types of the settings that the standard library lacks, and how durations and sizes are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, final

from edge.config.problems import Wrong

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)\Z", re.ASCII)
_SECONDS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZE: Final = re.compile(r"([0-9]+)(B|KiB|MiB|GiB)\Z", re.ASCII)
_BYTES: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_SECRET: Final = re.compile(r"[\x21-\x7e]{1,8192}\Z")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True, order=True)
class Bind:
    """An address to listen on: an IP address in its canonical spelling, and a port (0 = any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.host).is_loopback

    @property
    def wildcard(self) -> bool:
        """Whether it means every address of the machine."""
        return ip_address(self.host).is_unspecified

    @property
    def reachable(self) -> Bind:
        """How this machine reaches it."""
        return Bind({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)  # noqa: S104

    @classmethod
    def parse(cls, text: str) -> Bind:
        """Read `HOST:PORT`. HOST is an IP address (IPv6 in brackets) or `localhost`, which is 127.0.0.1.

        Other names are refused: what they resolve to, and so who can reach the port, may change behind our back.
        Raises Wrong.
        """
        host, colon, digits = text.rpartition(":")
        if not colon or not (digits.isascii() and digits.isdigit()) or int(digits[:6]) > _MAX_PORT:
            port = text if text.isascii() and text.isdigit() and int(text[:6]) <= _MAX_PORT else "8080"
            raise Wrong("is not HOST:PORT with a port from 0 to 65535", f"127.0.0.1:{port}")
        if host == "localhost":
            host = "127.0.0.1"
        bracketed = host.startswith("[") and host.endswith("]")
        try:
            address = ip_address(host[1:-1] if bracketed else host)
        except ValueError:
            raise Wrong("needs an IP address or `localhost` before the port", f"127.0.0.1:{int(digits)}") from None
        if isinstance(address, IPv6Address) and (not bracketed or address.scope_id):
            raise Wrong("needs an IPv6 address in brackets, without a zone", f"[::1]:{int(digits)}")
        return cls(str(address), int(digits))


@final
class Secret:
    """A string that neither prints nor compares by accident; `reveal()` is the one way in."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret('***')"

    def reveal(self) -> str:
        return self._text

    @classmethod
    def parse(cls, text: str) -> Secret:
        """Raises Wrong unless it can stand in an HTTP header: printable ASCII without spaces, so no CR or LF."""
        if not _SECRET.match(text):
            raise Wrong("must be 1 to 8192 printable ASCII characters without spaces")
        return cls(text)


def read_seconds(text: str) -> float | None:
    """`1.5h` -> 5400.0; None if `text` is not a duration."""
    match = _DURATION.match(text)
    return float(match[1]) * _SECONDS[match[2]] if match else None


def write_seconds(seconds: float) -> str:
    """The shortest exact spelling: 5400.0 -> `90m`, 0.25 -> `250ms`."""
    for unit, size in _SECONDS.items():
        if seconds >= size and (seconds / size).is_integer():
            return f"{int(seconds / size)}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def read_bytes(text: str) -> int | None:
    """`16MiB` -> 16777216; None if `text` is not a size."""
    match = _SIZE.match(text)
    return int(match[1][:20]) * _BYTES[match[2]] if match else None


def write_bytes(count: int) -> str:
    """The shortest exact spelling: 16777216 -> `16MiB`, 1000 -> `1000B`."""
    unit, size = next((u, s) for u, s in _BYTES.items() if count % s == 0 and (count >= s or s == 1))
    return f"{count // size}{unit}"
