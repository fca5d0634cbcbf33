"""What is in a listener's PEM, and when it is due for another. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from cryptography import x509

from edge.tls.authority import Authority
from edge.tls.names import Address, Names

RENEW: Final = timedelta(days=30)
"""Before the end; a third of its life, as Let's Encrypt advises: a month for whatever keeps it from being renewed."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """`pem` is key and chain; the rest is read from its first certificate."""

    pem: bytes
    certificate: x509.Certificate
    names: Names

    @property
    def until(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def valid(self, now: datetime) -> bool:
        return self.certificate.not_valid_before_utc <= now < self.until

    def due(self, now: datetime, names: Names, authority: Authority) -> bool:
        """Whether another one should be in its place: for its age, for other `names`, or for another authority."""
        lasting = self.valid(now) and self.until - now > min(
            RENEW, (authority.certificate.not_valid_after_utc - now) / 2
        )
        return not (lasting and self.names == names and authority.signed(self.certificate))


def read_leaf(pem: bytes) -> Leaf:
    """ValueError if no certificate can be read. Whether the key fits, OpenSSL tells when it is loaded."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ValueError("no certificate in PEM") from None
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = Names.of(san.get_values_for_type(x509.DNSName), _addresses(san))
    except (ValueError, x509.ExtensionNotFound):
        names = Names((), ())
    return Leaf(pem, certificate, names)


def _addresses(san: x509.SubjectAlternativeName) -> Iterator[Address]:
    for value in san.get_values_for_type(x509.IPAddress):
        if isinstance(value, IPv4Address | IPv6Address):  # ranges stand in constraints only
            yield value


def said_of(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words: `KEY_VALUES_MISMATCH` -> `key values mismatch`."""
    return (error.reason or "not usable").replace("_", " ").lower()
