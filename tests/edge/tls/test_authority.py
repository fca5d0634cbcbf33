"""What the authority signs, and what clients make of it: OpenSSL itself is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.tls.authority import LEAF_LIFE, LIFE, Authority, key_pem, new_authority, read_authority
from edge.tls.errors import TlsError
from edge.tls.leaf import Leaf, read_leaf
from edge.tls.names import Bounds, Names
from tests.edge.tls.certificates import DAY, NOW, STUDIO, authority, openssl_verdict, self_signed


def test_its_certificate_says_what_it_is() -> None:
    certificate = authority().certificate
    extensions = certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    constraints = extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate.not_valid_after_utc == NOW + LIFE
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert "studio" in certificate.subject.rfc4514_string()


def test_a_leaf_is_for_servers_and_for_its_names() -> None:
    leaf = read_leaf(authority().issue(STUDIO, NOW))
    extensions = leaf.certificate.extensions
    assert leaf.names == STUDIO
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert leaf.until == NOW + LEAF_LIFE
    assert leaf.until - leaf.certificate.not_valid_before_utc < timedelta(days=398)


def test_every_leaf_has_a_key_of_its_own() -> None:
    signer = authority()
    one, two = (read_leaf(signer.issue(STUDIO, NOW)).certificate for _ in range(2))
    assert one.public_key() != two.public_key()
    assert one.serial_number != two.serial_number


def test_openssl_verifies_it_strictly_for_each_name(tmp_path: Path) -> None:
    signer = authority()
    pem = signer.issue(STUDIO, NOW)
    for name in STUDIO.dns:
        assert openssl_verdict(tmp_path, signer.certificate_pem, pem, "-verify_hostname", name) == "OK"
    for address in STUDIO.addresses:
        assert openssl_verdict(tmp_path, signer.certificate_pem, pem, "-verify_ip", str(address)) == "OK"
    assert "hostname mismatch" in openssl_verdict(
        tmp_path, signer.certificate_pem, pem, "-verify_hostname", "example.com"
    )
    assert "unsuitable certificate purpose" in openssl_verdict(
        tmp_path, signer.certificate_pem, pem, "-purpose", "sslclient"
    )


@pytest.mark.parametrize(
    "names",
    [
        Names.of(["example.com"], []),
        Names.of(["studio.local", "www.example.com"], []),
        Names.of(["localhost"], [ip_address("8.8.8.8")]),
        Names.of(["localhost"], [ip_address("2001:db8::1")]),
    ],
)
def test_clients_refuse_what_it_signs_beyond_its_bounds(tmp_path: Path, names: Names) -> None:
    """A thief of its key who tries."""
    signer = authority()
    verdict = openssl_verdict(tmp_path, signer.certificate_pem, signer.issue(names, NOW))
    assert "permitted subtree violation" in verdict


def test_clients_refuse_another_authority_below_it(tmp_path: Path) -> None:
    signer = authority()
    key = ec.generate_private_key(ec.SECP256R1())
    below = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "below")]))
        .issuer_name(signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer.key, hashes.SHA256())
    )
    leaf = Authority(key, below).certificate
    pem = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(leaf.subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(2)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("studio.local")]), critical=True)
        .sign(key, hashes.SHA256())
    )
    middle = tmp_path / "middle.pem"
    middle.write_bytes(below.public_bytes(Encoding.PEM))
    verdict = openssl_verdict(
        tmp_path, signer.certificate_pem, pem.public_bytes(Encoding.PEM), "-untrusted", str(middle)
    )
    assert "path length constraint exceeded" in verdict


def test_it_comes_back_from_its_file() -> None:
    signer = authority()
    again = read_authority(signer.pem)
    assert again.fingerprint == signer.fingerprint
    assert again.bounds == Bounds.around(STUDIO)
    assert again.signed(read_leaf(signer.issue(STUDIO, NOW)).certificate)
    assert b"PRIVATE" not in again.certificate_pem


@pytest.mark.parametrize("damage", ["nothing", "certificate only", "key only", "another's key", "no constraints"])
def test_a_damaged_file_is_no_authority(damage: str) -> None:
    signer, other = authority(), authority()
    certificate, key = self_signed("a", start=NOW, end=NOW + DAY)
    pem = {
        "nothing": b"",
        "certificate only": signer.certificate_pem,
        "key only": key_pem(signer.key),
        "another's key": key_pem(other.key) + signer.certificate_pem,
        "no constraints": key + certificate,
    }[damage]
    with pytest.raises(ValueError, match="not the key and the certificate of one authority"):
        read_authority(pem)


class TestClock:
    def test_before_this_program_was_written_none_is_made(self) -> None:
        with pytest.raises(TlsError, match=r"clock says 1970-01-01.*set the clock"):
            new_authority("studio", STUDIO, datetime(1970, 1, 1, tzinfo=UTC))

    def test_before_its_time(self) -> None:
        signer = authority()
        with pytest.raises(TlsError, match=r"clock says 2026-11-19, .* valid from 2026-11-20: set the clock"):
            signer.issue(STUDIO, NOW - 2 * DAY)

    def test_after_its_time(self) -> None:
        signer = authority()
        with pytest.raises(TlsError, match=r"clock says 2036-11-18, .* ended on 2036-11-18: .*ca rotate --yes"):
            signer.issue(STUDIO, NOW + LIFE)

    def test_clients_whose_clock_is_late_take_it(self, tmp_path: Path) -> None:
        signer = authority()
        pem = signer.issue(STUDIO, NOW)
        assert openssl_verdict(tmp_path, signer.certificate_pem, pem, at=NOW - DAY / 2) == "OK"


class TestDue:
    """When a leaf has to be replaced."""

    signer = authority()
    leaf: Leaf = read_leaf(signer.issue(STUDIO, NOW))

    @pytest.mark.parametrize(("days", "due"), [(0, False), (59, False), (60, True), (91, True), (-2, True)])
    def test_by_age(self, days: int, due: bool) -> None:
        assert self.leaf.due(NOW + days * DAY, STUDIO, self.signer) is due

    def test_for_other_names(self) -> None:
        assert self.leaf.due(NOW, Names.of([*STUDIO.dns, "new.local"], STUDIO.addresses), self.signer)
        assert self.leaf.due(NOW, Names.of(STUDIO.dns, []), self.signer)

    def test_for_another_authority(self) -> None:
        assert self.leaf.due(NOW, STUDIO, authority())

    def test_at_the_end_of_the_authority_it_is_not_renewed_all_the_time(self) -> None:
        late = NOW + LIFE - 10 * DAY
        leaf = read_leaf(self.signer.issue(STUDIO, late))
        assert leaf.until == NOW + LIFE
        assert not leaf.due(late, STUDIO, self.signer)
