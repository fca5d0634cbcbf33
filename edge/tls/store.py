"""The state folder's `tls/`: the authority (key and certificate in one file, made once), and a leaf per listener.

authority.pem        0600; `llm-gateway ca export` gives away its public half
listener-NAME.pem    0600; can be thrown away, the next start makes another one
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge.identity import private_file
from edge.identity.state import StateError, open_home
from edge.tls.authority import Authority, new_authority, read_authority
from edge.tls.leaf import Leaf, read_leaf
from edge.tls.names import Names

FOLDER: Final = "tls"
_WHAT: Final = "the certificate authority"
_CERTIFICATE: Final = "the certificate"


class Store:
    """The folder of one state folder `home`. Everything blocks, and raises StateError."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.folder = home / FOLDER
        self.file = self.folder / "authority.pem"

    def make_folder(self) -> None:
        """So that what follows can be written."""
        open_home(self._home)
        open_home(self.folder)

    def authority(self) -> Authority | None:
        """The one there is, None if there is none."""
        try:
            pem = private_file.read(self.file, _WHAT)
        except FileNotFoundError:
            return None
        try:
            return read_authority(pem)
        except ValueError as error:
            step = "restore it from a backup, or: llm-gateway ca rotate --yes"
            raise StateError(f"{_WHAT} {self.file} is damaged ({error})", step) from None

    def open_authority(self, machine: str, names: Callable[[], Names], now: datetime) -> Authority:
        """The same, made if there is none. TlsError if the clock is wrong for it."""
        found = self.authority()
        if found is None:
            self.make_folder()
            made = new_authority(machine, names(), now)
            try:
                private_file.make(self.file, lambda: made.pem)
            except OSError as error:
                raise private_file.not_made(self.file, _WHAT, error) from None
            found = self.authority() or made  # another process may have been first
        found.check_clock(now)
        return found

    def replace_authority(self, authority: Authority) -> None:
        """Put another one in its place; running gateways notice."""
        self.make_folder()
        self._replace(self.file, authority.pem, _WHAT)

    def stamp(self) -> tuple[int, ...] | None:
        """Changes whenever the authority's file does; None if there is none."""
        return stamp(self.file)

    def leaf(self, listener: str) -> Leaf | None:
        """What was kept for `listener`; None if that is nothing usable, for another one is made in no time."""
        try:
            return read_leaf(private_file.read(self._leaf_file(listener), _CERTIFICATE))
        except (FileNotFoundError, ValueError, StateError):
            return None

    def keep_leaf(self, listener: str, leaf: Leaf) -> None:
        self.make_folder()
        self._replace(self._leaf_file(listener), leaf.pem, _CERTIFICATE)

    def _leaf_file(self, listener: str) -> Path:
        return self.folder / f"listener-{listener}.pem"

    def _replace(self, path: Path, content: bytes, what: str) -> None:
        try:
            private_file.replace(path, content)
        except OSError as error:
            raise private_file.not_made(path, what, error) from None


def stamp(path: Path) -> tuple[int, ...] | None:
    """What changes with the content of `path`, be it written over or replaced, and with who may read it; None if it
    cannot be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as fast as it gets, every second
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def utc(seconds: float) -> datetime:
    """A clock's reading as certificates have it: whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)
