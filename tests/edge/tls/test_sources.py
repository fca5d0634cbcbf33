"""Where a listener's certificate comes from, and when it changes."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from edge.tls.authority import Authority
from edge.tls.errors import TlsError
from edge.tls.names import Names
from edge.tls.settings import CertificateFiles
from edge.tls.sources import Given, Issued
from edge.tls.store import Store
from tests.edge.tls.certificates import DAY, NOW, STUDIO, authority, self_signed


class Machine:
    """One whose names change."""

    def __init__(self) -> None:
        self.names = STUDIO

    def __call__(self) -> Names:
        return self.names


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def issued(store: Store, machine: Machine) -> Issued:
    def opened(now: datetime) -> Authority:
        return store.open_authority("studio", machine, now)

    return Issued(store, "lan", opened, machine)


class TestIssued:
    def test_the_first_start_makes_authority_and_leaf_and_the_second_uses_them(
        self, store: Store, machine: Machine
    ) -> None:
        first = issued(store, machine).first(NOW)
        assert first.names == STUDIO
        assert issued(store, machine).first(NOW + DAY) == first

    def test_it_is_renewed_in_time_and_not_before(self, store: Store, machine: Machine) -> None:
        source = issued(store, machine)
        first = source.first(NOW)
        assert source.next(NOW + 59 * DAY) is None
        second = source.next(NOW + 60 * DAY)
        assert second is not None
        assert second.until == first.until + 60 * DAY
        assert store.leaf("lan") == second
        assert source.next(NOW + 60 * DAY) is None

    def test_one_that_ran_out_while_the_gateway_was_down_is_replaced(self, store: Store, machine: Machine) -> None:
        issued(store, machine).first(NOW)
        assert issued(store, machine).first(NOW + 365 * DAY).valid(NOW + 365 * DAY)

    def test_another_address_of_the_machine_makes_another_one(self, store: Store, machine: Machine) -> None:
        source = issued(store, machine)
        source.first(NOW)
        machine.names = Names.of(STUDIO.dns, [*STUDIO.addresses, ip_address("10.9.8.7")])
        changed = source.next(NOW)
        assert changed is not None
        assert changed.names == machine.names

    def test_another_authority_makes_another_one(self, store: Store, machine: Machine) -> None:
        source = issued(store, machine)
        source.first(NOW)
        other = authority()
        store.replace_authority(other)
        changed = source.next(NOW)
        assert changed is not None
        assert other.signed(changed.certificate)
        assert source.next(NOW) is None

    def test_names_beyond_the_authoritys_bounds_are_left_out_and_told_once(
        self, store: Store, machine: Machine, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = issued(store, machine)
        source.first(NOW)
        machine.names = Names.of([*STUDIO.dns, "new.example.org"], STUDIO.addresses)
        assert source.next(NOW) is None
        assert source.next(NOW) is None
        (record,) = caplog.records
        assert "new.example.org" in record.message
        assert "ca rotate --yes" in record.message

    def test_a_clock_that_goes_wrong_is_told(self, store: Store, machine: Machine) -> None:
        issued(store, machine).first(NOW)
        with pytest.raises(TlsError, match="set the clock"):
            issued(store, machine).first(NOW - 400 * DAY)


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    put = CertificateFiles(tmp_path / "server.crt", tmp_path / "server.key")
    write(put)
    put.key_file.chmod(0o600)
    return put


def write(files: CertificateFiles, *names: str, start: datetime = NOW, end: datetime = NOW + 90 * DAY) -> None:
    certificate, key = self_signed(*(names or ("a.example",)), start=start, end=end)
    replace(files.cert_file, certificate)
    replace(files.key_file, key)


def replace(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(0o600)
    draft.replace(path)


class TestGiven:
    def test_both_files_become_one(self, files: CertificateFiles) -> None:
        leaf = Given(files).first(NOW)
        assert leaf.names.dns == ("a.example",)
        assert b"PRIVATE KEY" in leaf.pem

    def test_it_is_read_again_when_a_file_changes_and_only_then(self, files: CertificateFiles) -> None:
        source = Given(files)
        source.first(NOW)
        assert source.next(NOW) is None
        write(files, "b.example")
        changed = source.next(NOW)
        assert changed is not None
        assert changed.names.dns == ("b.example",)
        assert source.next(NOW) is None

    def test_a_file_written_over_in_place_counts_as_changed(self, files: CertificateFiles) -> None:
        source = Given(files)
        source.first(NOW)
        certificate, _ = self_signed("in-place.example", start=NOW, end=NOW + DAY)
        files.cert_file.write_bytes(certificate)
        os.utime(files.cert_file, ns=(1, 1))
        assert source.next(NOW) is not None

    @pytest.mark.parametrize("which", ["certificate", "key"])
    def test_a_file_that_is_not_there_is_told(self, files: CertificateFiles, which: str) -> None:
        (files.cert_file if which == "certificate" else files.key_file).unlink()
        with pytest.raises(TlsError, match=rf"the {which} file .* cannot be read \(No such file or directory\)"):
            Given(files).first(NOW)

    def test_a_file_that_is_no_certificate_is_told(self, files: CertificateFiles) -> None:
        files.cert_file.write_bytes(b"\x00\x01")
        with pytest.raises(TlsError, match=r"not usable .*PEM"):
            Given(files).first(NOW)

    @pytest.mark.parametrize(("start", "end"), [(DAY, 90 * DAY), (-90 * DAY, -DAY)])
    def test_one_that_is_not_valid_now_is_told_with_its_days(
        self, files: CertificateFiles, start: timedelta, end: timedelta
    ) -> None:
        write(files, start=NOW + start, end=NOW + end)
        with pytest.raises(TlsError, match=r"the clock says 2026-11-21, .* set the clock, or renew"):
            Given(files).first(NOW)

    def test_a_broken_one_is_told_once_and_tried_again_when_it_changes(self, files: CertificateFiles) -> None:
        source = Given(files)
        source.first(NOW)
        replace(files.cert_file, b"broken")
        with pytest.raises(TlsError):
            source.next(NOW)
        assert source.next(NOW) is None
        write(files, "c.example")
        changed = source.next(NOW)
        assert changed is not None
        assert changed.names.dns == ("c.example",)

    def test_a_file_that_may_be_read_at_last_is_tried_again(self, files: CertificateFiles) -> None:
        """Whoever renews it writes first and gives it to the gateway's user then; nothing but that changes."""
        source = Given(files)
        source.first(NOW)
        assert source.next(NOW) is None
        files.key_file.chmod(0o640)
        assert source.next(NOW) is not None
        assert source.next(NOW) is None

    def test_a_key_that_others_can_read_is_told(
        self, files: CertificateFiles, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            Given(files).first(NOW)
            assert not caplog.records
            files.key_file.chmod(0o644)
            Given(files).first(NOW)
        assert "can be read by other users" in caplog.text
