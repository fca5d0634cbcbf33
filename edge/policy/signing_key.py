"""The key that signs bundles: a file in the state folder, made when the first OPA asks, like the pepper kept private.

It is P-256 in PKCS#8 PEM. Replicas behind one address need the same file. To change it: give the OPAs the new public
key beside the old one (each has its own id), then put the new file in place and restart.
"""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from edge.identity import private_file
from edge.identity.state import StateError

if TYPE_CHECKING:
    from policies.signing import Signer

SIGNING_KEY: Final = "policy-signing.pem"
_WHAT: Final = "the signing key"
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
        private_file.make(path, _new_key)
        signer = _read(path)
    except OSError as error:
        raise private_file.not_made(path, _WHAT, error) from None
    _log.warning("made a key to sign policy bundles with, id %s: OPAs need its public half", signer.kid)
    return signer


def _new_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec  # costs start-up time, and most gateways serve no OPA
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(path: Path) -> Signer:
    from policies.signing import SigningKeyError, read_signer

    content = private_file.read(path, _WHAT)
    try:
        return read_signer(content)
    except SigningKeyError as error:
        step = "restore it from a backup, or move it away and give the OPAs the public half of the new one"
        raise StateError(f"{_WHAT} {path} is damaged ({error})", step) from None
