"""The server's side of TLS: Mozilla's intermediate profile (https://ssl-config.mozilla.org, version 5.7), P-256 only.

An exchange over finite fields costs a server far more than the stranger who asks for it (CVE-2002-20001), and every
client that speaks TLS 1.2 has ECDHE. No session tickets, as Mozilla says: a handshake costs a millisecond here, and the
key of tickets would outlive forward secrecy.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path
from typing import Final, NoReturn

_CIPHERS: Final = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)
_PROTOCOLS: Final = ("http/1.1",)


def server_context() -> ssl.SSLContext:
    """A context without a certificate. The ciphers of TLS 1.3 are all good ones, and none of them is chosen here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # Python can name one curve, or leave OpenSSL's list, whose ffdhe8192 costs the event loop 130 ms a handshake
    # (measured; P-256: 0.7). RFC 8446 9.1: "MUST support key exchange with secp256r1", so every client has it.
    context.set_ecdh_curve("prime256v1")
    context.set_alpn_protocols(list(_PROTOCOLS))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    # All are strong, so the client chooses: a phone without AES in hardware wants ChaCha20.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    return context


def load(context: ssl.SSLContext, pem: bytes, folder: Path) -> None:
    """Let new handshakes use the key and the chain in `pem`. ssl.SSLError, and `context` is as it was; OSError.

    OpenSSL reads files only, so a private one in `folder` lives for a moment. It is tried in another context first: at
    a pair that does not fit OpenSSL gives up half-way, with the new certificate and the old key in place.
    """
    descriptor, name = tempfile.mkstemp(prefix=".pair.", dir=folder)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        for each in (server_context(), context):
            each.load_cert_chain(name, password=_no_password)
    finally:
        Path(name).unlink()


def _no_password() -> NoReturn:
    """Else OpenSSL would ask for it on the terminal, and wait."""
    raise ssl.SSLError(0, "the key is encrypted")
