"""Settings of an issuer: what does not fit is refused when it is written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.identity.issuer import ALGORITHMS, Issuer, check_url
from tests.edge.identity.fixtures import ISSUER


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Corp"},
        {"name": ""},
        {"name": "a b"},
        {"issuer": ""},
        {"audience": ()},
        {"audience": ("",)},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"HS256"})},
        {"algorithms": frozenset({"RS256", "none"})},
        {"jwks_url": None},
        {"key_file": Path("key.pem")},
        {"leeway": 61},
        {"leeway": -1},
        {"max_lifetime": 0},
        {"jwks_url": "http://idp.example/jwks"},
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        replace(ISSUER, **changes)  # type: ignore[arg-type]


def test_no_symmetric_algorithm_is_known() -> None:
    assert not {name for name in ALGORITHMS if name.startswith("HS") or name == "none"}


def test_a_key_file_alone_is_enough() -> None:
    assert Issuer("a", "https://a", ("x",), key_file=Path("key.pem")).jwks_url is None


@pytest.mark.parametrize(
    "url", ["https://idp.example/keys", "http://127.0.0.1:1/k", "http://[::1]/k", "http://localhost/"]
)
def test_urls_that_are_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/",
        "http://10.0.0.1/",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://",
        "https://user@idp.example/",
        "https://u:p@idp.example/",
        "https://idp.example/#x",
        "",
    ],
)
def test_urls_that_are_not(url: str) -> None:
    with pytest.raises(ValueError, match="JWKS URL"):
        check_url(url)
