"""Where a listener's certificate comes from. Sources block, and are asked by one thread at a time.

Issued    by our own authority: for its age, for the machine's names as of now, for another authority
Given     by whoever writes two files, at once or one after the other
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from edge.tls.authority import Authority, day
from edge.tls.errors import TlsError
from edge.tls.leaf import Leaf, read_leaf
from edge.tls.names import Names
from edge.tls.settings import CertificateFiles
from edge.tls.store import Store, stamp

_log = logging.getLogger(__name__)
_MOST: Final = 256 * 1024
"""Bytes of a file; the longest chains are a few KiB."""


class Source(Protocol):
    """`first` and `next` raise TlsError and StateError; what was in force then stays so."""

    def first(self, now: datetime) -> Leaf:
        """What to serve with, at the start."""

    def next(self, now: datetime) -> Leaf | None:
        """What to serve with from now on, if that is something else."""


class Issued:
    """A leaf for `listener`. `wanted` tells what it has to say, and is asked each time."""

    def __init__(
        self, store: Store, listener: str, authority: Callable[[datetime], Authority], wanted: Callable[[], Names]
    ) -> None:
        """`authority` opens it, making it where there is none."""
        self._store = store
        self._listener = listener
        self._open = authority
        self._wanted = wanted
        self._authority: Authority | None = None
        self._stamp: tuple[int, ...] | None = None
        self._leaf: Leaf | None = None
        self._left_out: Names | None = None

    def first(self, now: datetime) -> Leaf:
        """The kept one where it will do."""
        self._leaf = self._store.leaf(self._listener)
        return self.next(now) or self._serving()

    def next(self, now: datetime) -> Leaf | None:
        """Another one when it is due."""
        authority = self._current(now)
        names = self._nameable(authority)
        if self._leaf is not None and not self._leaf.due(now, names, authority):
            return None
        leaf = read_leaf(authority.issue(names, now))
        self._store.keep_leaf(self._listener, leaf)
        self._leaf = leaf
        return leaf

    def _serving(self) -> Leaf:
        if self._leaf is None:
            raise RuntimeError("`next` makes a leaf where there is none")
        return self._leaf

    def _current(self, now: datetime) -> Authority:
        found = self._store.stamp()
        if self._authority is None or found != self._stamp:
            self._authority = self._open(now)
            self._stamp = self._store.stamp()
        return self._authority

    def _nameable(self, authority: Authority) -> Names:
        """What of the wanted names may be signed for; the rest is told once."""
        names, outside = authority.bounds.split(self._wanted())
        if outside not in {self._left_out, Names((), ())}:
            _log.warning(
                "listener %s: the certificate authority was made without %s, which clients would refuse; "
                "to have one that may: llm-gateway ca rotate --yes, then have clients trust it",
                self._listener,
                outside,
            )
        self._left_out = outside
        return names


class Given:
    """The operator's files."""

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._stamps: tuple[object, object] | None = None

    def first(self, now: datetime) -> Leaf:
        """What they hold now."""
        if _open_to_others(self._files.key_file):
            _log.warning(
                "the key file %s can be read by other users; chmod 600 would keep them out", self._files.key_file
            )
        return self._read(now)

    def next(self, now: datetime) -> Leaf | None:
        """What they hold, if it is not what was read last. Tried again only once they change again: a pair whose second
        half is not there yet changes when it comes."""
        return None if self._look() == self._stamps else self._read(now)

    def _read(self, now: datetime) -> Leaf:
        files = self._files
        self._stamps = self._look()
        chain, key = _content(files.cert_file, "certificate"), _content(files.key_file, "key")
        try:
            leaf = read_leaf(chain + b"\n" + key)
        except ValueError as error:
            raise TlsError(
                f"the certificate file {files.cert_file} is not usable ({error})", "put the chain in PEM there"
            ) from None
        if not leaf.valid(now):
            certificate = leaf.certificate
            raise TlsError(
                f"the clock says {day(now)}, and the certificate {files.cert_file} is valid from "
                f"{day(certificate.not_valid_before_utc)} to {day(certificate.not_valid_after_utc)}",
                "set the clock, or renew the certificate",
            )
        return leaf

    def _look(self) -> tuple[object, object]:
        return stamp(self._files.cert_file), stamp(self._files.key_file)


def _content(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TlsError(f"the {what} file {path} cannot be read ({reason})", "correct its path or its owner") from None


def _open_to_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False
