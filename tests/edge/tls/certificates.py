"""What tests of certificates share: a day, an authority for a small machine, and OpenSSL's own judgement."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from edge.tls.authority import Authority, key_pem, new_authority
from edge.tls.names import Names

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STUDIO = Names.of(
    ["localhost", "studio.local", "studio.example.net"], [ip_address("127.0.0.1"), ip_address("192.168.1.5")]
)


def authority(now: datetime = NOW, names: Names = STUDIO) -> Authority:
    return new_authority("studio", names, now)


def openssl_verdict(folder: Path, trusted: bytes, pem: bytes, *options: str, at: datetime = NOW) -> str:
    """What `openssl verify` says of the first certificate in `pem`: "OK", or its complaint."""
    ca, leaf = folder / "ca.pem", folder / "leaf.pem"
    ca.write_bytes(trusted)
    leaf.write_bytes(pem)
    strictly = ("-x509_strict", "-purpose", "sslserver", "-attime", str(int(at.timestamp())))
    done = subprocess.run(
        ["openssl", "verify", *strictly, *options, "-CAfile", str(ca), str(leaf)],
        capture_output=True,
        text=True,
        check=False,
    )
    return "OK" if done.returncode == 0 else done.stderr


def self_signed(*names: str, start: datetime, end: datetime) -> tuple[bytes, bytes]:
    """(certificate, key), both PEM, of somebody else's making."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM), key_pem(key)
