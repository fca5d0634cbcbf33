"""The gateway's own certificate authority. Pure but for the operating system's randomness, which OpenSSL takes itself.

What it signs for is written into its own certificate (critical name constraints), it signs no further authorities
(pathlen 0), and for servers only: whoever steals its key can be this machine, and nothing else on the internet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.tls.errors import TlsError
from edge.tls.names import Bounds, Names

LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=90)
"""Apple refuses server certificates of more than 825 days, also under an authority the user trusts, and of more than
398 under public ones; short lives make renewal an everyday thing that works."""
_BACKDATE: Final = timedelta(hours=24)
"""So that clients whose clocks are late take a new certificate at once."""
_EPOCH: Final = datetime(2023, 1, 1, tzinfo=UTC)
"""Before this program existed. A machine that lost its clock thinks it is 1970, or its firmware's year."""
_SERVER: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
_AGAIN: Final = "if the clock is right, make a new one: llm-gateway ca rotate --yes"


@dataclass(frozen=True, slots=True)
class Authority:
    """A key and its certificate. `pem` is what the file holds; `certificate_pem` is all that others ever see."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return key_pem(self.key) + self.certificate_pem

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 as openssl and Keychain Access write it: `AB:CD:…`."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def bounds(self) -> Bounds:
        """What it may sign for."""
        constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        permitted = constraints.permitted_subtrees or []
        dns = tuple(each.value for each in permitted if isinstance(each, x509.DNSName))
        ranges = tuple(
            each.value
            for each in permitted
            if isinstance(each, x509.IPAddress) and isinstance(each.value, IPv4Network | IPv6Network)
        )
        return Bounds(dns, ranges)

    def check_clock(self, now: datetime) -> None:
        """Raise TlsError unless it is valid `now`."""
        certificate = self.certificate
        if now < certificate.not_valid_before_utc:
            raise TlsError(
                f"the clock says {day(now)}, and the certificate authority is valid from "
                f"{day(certificate.not_valid_before_utc)}",
                "set the clock",
            )
        if now >= certificate.not_valid_after_utc:
            raise TlsError(
                f"the clock says {day(now)}, and the certificate authority ended on "
                f"{day(certificate.not_valid_after_utc)}",
                f"set the clock; {_AGAIN}",
            )

    def issue(self, names: Names, now: datetime) -> bytes:
        """A new key and certificate for `names`, as one PEM with this authority's certificate at its end.

        TlsError if the clock is wrong. `names` have to lie within `bounds`: clients refuse all others anyway.
        """
        self.check_clock(now)
        key = ec.generate_private_key(ec.SECP256R1())
        san: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
        san += [x509.IPAddress(address) for address in names.addresses]
        mine = self.certificate
        certificate = (
            x509.CertificateBuilder()
            # Not a host name: OpenSSL would hold a common name that looks like one against the constraints, too.
            .subject_name(_named("llm-gateway listener"))
            .issuer_name(mine.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - _BACKDATE, mine.not_valid_before_utc))
            .not_valid_after(min(now + LEAF_LIFE, mine.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(_SERVER, critical=False)
            .add_extension(x509.SubjectAlternativeName(san), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return key_pem(key) + certificate.public_bytes(Encoding.PEM) + self.certificate_pem

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether `certificate` is one of ours."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def new_authority(machine: str, names: Names, now: datetime) -> Authority:
    """An authority for the machine called `machine`, confined to `Bounds.around(names)`. TlsError for a wrong clock."""
    if now < _EPOCH:
        raise TlsError(f"the clock says {day(now)}, which is before this program was written", "set the clock")
    key = ec.generate_private_key(ec.SECP256R1())
    # Several gateways' authorities may lie in one keychain: the day and the machine tell them apart.
    subject = _named(f"llm-gateway on {machine} ({now:%Y-%m-%d})")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        # RFC 5280 does not ask it of authorities, but OpenSSL, Windows and Go heed it: no clients, no mail, no code.
        .add_extension(_SERVER, critical=False)
        .add_extension(_constraints(Bounds.around(names)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def read_authority(pem: bytes) -> Authority:
    """The authority that `pem` holds. ValueError without a word of the key."""
    try:
        key = load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key():
            authority = Authority(key, certificate)
            _ = authority.bounds
            return authority
    except (ValueError, TypeError, x509.ExtensionNotFound):
        pass
    raise ValueError("not the key and the certificate of one authority with name constraints")


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """`key` in PKCS#8, not encrypted: a gateway starts without anybody to type a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _constraints(bounds: Bounds) -> x509.NameConstraints:
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in bounds.dns]
    permitted += [x509.IPAddress(each) for each in bounds.ranges]
    return x509.NameConstraints(permitted, None)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    """RFC 5280 A.1: ub-common-name is 64."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def day(instant: datetime) -> str:
    """For messages, which are told once for each text: a time of day would make them new all the time."""
    return f"{instant:%Y-%m-%d}"
