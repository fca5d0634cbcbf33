"""The key that signs bundles: a file in the state folder, made when the first OPA asks, like the pepper kept private.

It is P-256 in PKCS#8 PEM. Replicas behind one address need the same file. To change it: give the OPAs the new public
key beside the old one (each has its own id), then put the new file in place and restart.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from edge.identity.state import StateError

if TYPE_CHECKING:
    from policies.signing import Signer

SIGNING_KEY: Final = "policy-signing.pem"
_LIMIT: Final = 16_384
_log = logging.getLogger(__name__)


class SigningKey:
    """The key of one state folder; nothing is read, made or imported before `signer` is called."""

    def __init__(self, home: Path) -> None:
        self._path = home / SIGNING_KEY
        self._signer: Signer | None = None
        self._lock = Lock()

    def signer(self) -> Signer:
        """The signer, always the same. Blocks on files; raises StateError, and tries anew when it is asked again."""
        with self._lock:  # threads that ask at once make one key
            if self._signer is None:
                self._signer = open_signer(self._path)
            return self._signer


def open_signer(path: Path) -> Signer:
    """Read the key file, making it if there is none. Raises StateError."""
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    try:
        _make(path)
        signer = _read(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(
            f"cannot make the signing key {path} ({reason})", "check the folder's owner, free space and file system"
        ) from None
    _log.warning("made a key to sign policy bundles with, id %s: OPAs need its public half", signer.kid)
    return signer


def _make(path: Path) -> None:
    """Write a complete file beside `path`, then link it into place, so that of two processes both read the first's."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_new_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink()


def _new_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec  # costs start-up time, and most gateways serve no OPA
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # OPAs are configured with this key: it must still be there after a power cut
    finally:
        os.close(descriptor)


def _read(path: Path) -> Signer:
    from policies.signing import SigningKeyError, read_signer

    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())  # of what was opened, not of what the name points to by now
            text = file.read(_LIMIT)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(f"cannot read the signing key {path} ({reason})", "run as its owner, or chown it") from None
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
        raise StateError(f"the signing key {path} is open to other users", f"run: chmod 600 '{path}'")
    try:
        return read_signer(text)
    except SigningKeyError as error:
        step = "restore it from a backup, or move it away and give the OPAs the public half of the new one"
        raise StateError(f"the signing key {path} is damaged ({error})", step) from None
