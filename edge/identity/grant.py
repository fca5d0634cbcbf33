"""What a key may do, and the checks on what an operator types. Pure; the command line and the admin API share it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import Final

from policies.principal import DEFAULT_SCOPES, Network, Quota, Scope

_LABEL_LENGTH: Final = 64
_MAX_LIST: Final = 256
_MAX_COUNT: Final = 2**53 - 1  # survives every JSON reader
_GLOB: Final = re.compile(r"[A-Za-z0-9._:/@+\-*?]{1,256}", re.ASCII)
_NO_LIMITS: Final = Quota()
_PRESET: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """A key's name, whom it acts for, and what it may do. Make it with checked parts: the functions below.

    `owner` empty means the name. `device` is the machine the key was given to, "" = not said. `models` are globs over
    canonical names; `networks` and `listeners` empty = anywhere. `expires_at` is seconds since the epoch, None = never.
    `preset` is the one whose defaults and bounds its requests have, "" = none.
    """

    name: str
    owner: str = ""
    groups: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = tuple(sorted(DEFAULT_SCOPES))
    models: tuple[str, ...] = ("*",)
    networks: tuple[Network, ...] = ()
    listeners: tuple[str, ...] = ()
    quota: Quota = _NO_LIMITS
    expires_at: float | None = None
    device: str = ""
    preset: str = ""

    def __post_init__(self) -> None:
        for part in (self.groups, self.scopes, self.models, self.networks, self.listeners):
            if len(part) > _MAX_LIST:
                raise ValueError(f"a key has at most {_MAX_LIST} entries per list")
        if not self.scopes:
            raise ValueError("a key needs at least one scope")


def label(text: str) -> str:
    """A name, owner, group or device: ValueError unless printable, 1 to 64 characters, no space at either end.

    `isprintable` is False for control, format and bidirectional characters, so a label cannot rewrite a terminal.
    """
    if not text or len(text) > _LABEL_LENGTH or not text.isprintable() or text != text.strip():
        raise ValueError(f"use 1 to {_LABEL_LENGTH} printable characters, without spaces at the ends")
    return text


def scope(text: str) -> Scope:
    """One of the known scopes."""
    try:
        return Scope(text)
    except ValueError:
        raise ValueError(f"known scopes are: {', '.join(Scope)}") from None


def glob(text: str) -> str:
    """A pattern over model names; `*` any run, `?` one character."""
    if _GLOB.fullmatch(text) is None:
        raise ValueError("use a model's name, where * stands for any run of characters and ? for one")
    return text


def word(text: str) -> str:
    """A listener's name or a priority band."""
    if _WORD.fullmatch(text) is None:
        raise ValueError("use up to 32 letters, digits, '.', '_' or '-', beginning with a letter or digit")
    return text


def preset(text: str) -> str:
    """A preset's name; whether there is one is the configuration's to say."""
    if _PRESET.fullmatch(text) is None or text == "none":
        raise ValueError("use up to 32 of a-z, 0-9 and '-', beginning with a letter or digit, and not 'none'")
    return text


def network(text: str) -> Network:
    """A CIDR network; an address with host bits is refused with both things it could mean, since they differ a lot."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_interface(text)
    except ValueError:
        raise ValueError("write a network as 192.168.0.0/16, 10.1.2.3 or fd00::/8") from None
    raise ValueError(f"the address has bits outside its prefix: write {meant.network} or {meant.ip}")


def count(text: str) -> int:
    """A limit: a whole number of at least 1. 0 is refused because it reads as 'unlimited' as easily as 'none'."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:17]) <= _MAX_COUNT or len(text) > len("9" * 16):
        raise ValueError("write a whole number of at least 1")
    return int(text)
