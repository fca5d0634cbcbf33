"""How platforms are told to trust the authority."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.tls.trust import PLACES, Platform, forgetting, platform_of, trusting

FINGERPRINT = ":".join(["AB"] * 32)
FILE = Path("/tmp/my ca.pem")  # noqa: S108 - a name


def test_which_platform_this_is() -> None:
    assert platform_of("darwin", []) is Platform.MACOS
    assert platform_of("linux", [PLACES[Platform.DEBIAN]]) is Platform.DEBIAN
    assert platform_of("linux", [PLACES[Platform.FEDORA]]) is Platform.FEDORA
    assert platform_of("linux", []) is None


def test_on_a_mac_it_is_trusted_for_tls_and_for_this_user_only() -> None:
    plan = trusting(Platform.MACOS, FILE, FINGERPRINT)
    assert plan.lines(is_root=False) == ["security add-trusted-cert -r trustRoot -p ssl '/tmp/my ca.pem'"]
    assert forgetting(Platform.MACOS, FILE, FINGERPRINT).lines(is_root=False) == [
        "security remove-trusted-cert '/tmp/my ca.pem'"
    ]


@pytest.mark.parametrize(
    ("platform", "refresh"), [(Platform.DEBIAN, "update-ca-certificates"), (Platform.FEDORA, "update-ca-trust extract")]
)
def test_on_linux_root_installs_it_under_a_name_of_its_own(platform: Platform, refresh: str) -> None:
    installed = f"{PLACES[platform]}/llm-gateway-abababababababab.crt"
    trust, forget = trusting(platform, FILE, FINGERPRINT), forgetting(platform, FILE, FINGERPRINT)
    assert trust.lines(is_root=False) == [f"sudo install -m 0644 '/tmp/my ca.pem' {installed}", f"sudo {refresh}"]
    assert trust.lines(is_root=True) == [f"install -m 0644 '/tmp/my ca.pem' {installed}", refresh]
    assert forget.lines(is_root=True) == [f"rm -f {installed}", refresh]
