"""A browser is told yes for exact origins, existing routes and known headers, and nothing otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from edge.config.settings import Cors
from edge.cors import CrossOrigin, exposed
from edge.intake.routes import Routes
from edge.listener.inbound import Inbound

APP = "https://app.example:8443"
ROUTES = Routes()
RULES = CrossOrigin(Cors((APP, "app://obsidian.md"), max_age=90.0))


def asked(path: str = "/v1/chat/completions", method: str = "OPTIONS", **headers: str) -> dict[str, str] | None:
    given = {"origin": APP, "access-control-request-method": "POST"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    inbound = SimpleNamespace(method=method, path=path, headers={name: text for name, text in given.items() if text})
    return RULES.preflight(cast(Inbound, inbound), ROUTES)


def test_a_page_of_the_list_may_ask() -> None:
    names = "Authorization,content-type, X-Stainless-Lang,x-stainless-new-thing"
    assert asked(access_control_request_headers=names) == {
        "access-control-allow-methods": "POST",
        "access-control-max-age": "90",
        "access-control-allow-headers": "authorization, content-type, x-stainless-lang, x-stainless-new-thing",
    }


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "*", "https://evil.example", "https://app.example", "http://app.example:8443"),
        *("https://app.example:8443.evil.example", "https://app.example:84430", "https://xapp.example:8443"),
        *("HTTPS://APP.EXAMPLE:8443", f"{APP}/", f"{APP}, {APP}", f"{APP}, null", f" {APP}"),
    ],
)
def test_no_other_origin_is_let_in(origin: str) -> None:
    assert asked(origin=origin) is None
    assert RULES.answer({"origin": origin} if origin else {}) == {"vary": "origin"}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/nothing", "POST"),
        ("/v1/chat/completions", "GET"),
        ("/v1/chat/completions", "post"),
        ("/v1/chat/completions", "PUT"),
        ("/v1/chat/completions", "TRACE"),
        ("/v1/models", "POST"),
        ("/metrics", "GET"),
    ],
)
def test_only_routes_that_are_there(path: str, wanted: str) -> None:
    assert asked(path, access_control_request_method=wanted) is None


@pytest.mark.parametrize(
    ("path", "wanted", "methods"),
    [
        ("/v1/models", "GET", "GET"),
        ("/v1/models/ai%2Fsmollm2", "GET", "GET"),
        ("/healthz", "GET", "GET"),
        ("/", "GET", "GET, HEAD"),
        ("/v1/responses/resp_" + "0" * 32, "DELETE", "GET, DELETE"),
        ("/engines/box/v1/chat/completions", "POST", "POST"),
        ("/api/chat", "POST", "POST"),
    ],
)
def test_all_methods_of_the_route_are_told(path: str, wanted: str, methods: str) -> None:
    said = asked(path, access_control_request_method=wanted)
    assert said is not None
    assert said["access-control-allow-methods"] == methods


def test_what_is_no_preflight_is_a_request_like_any_other() -> None:
    assert asked(method="POST") is None
    assert asked(access_control_request_method="") is None


@pytest.mark.parametrize(
    "names",
    ["cookie", "x-forwarded-for", "x-stainless-\x00", "x-stainless-" + "a" * 60, "x-stainless", "*", ",,", "host"],
)
def test_headers_that_are_not_known_are_not_allowed(names: str) -> None:
    said = asked(access_control_request_headers=names)
    assert said is not None
    assert "access-control-allow-headers" not in said


def test_a_private_address_is_allowed_where_that_is_asked() -> None:
    said = asked(access_control_request_private_network="true")
    assert said is not None
    assert said["access-control-allow-private-network"] == "true"
    assert "access-control-allow-private-network" not in (asked(access_control_request_private_network="1") or {})


def test_never_a_wildcard_and_never_credentials() -> None:
    said = {**(asked(access_control_request_headers="*, authorization") or {}), **RULES.answer({"origin": APP})}
    assert "*" not in "".join(said.values())
    assert not any("credentials" in name for name in said)


def test_answers_name_the_origin_that_asked() -> None:
    for origin in (APP, "app://obsidian.md"):
        assert RULES.answer({"origin": origin}) == {"vary": "origin", "access-control-allow-origin": origin}


def test_scripts_may_read_ids_and_limits() -> None:
    headers = {"content-type": "x", "x-request-id": "1", "request-id": "1", "retry-after": "1", "x-ratelimit-a": "1"}
    assert exposed(headers) == "x-request-id, request-id, retry-after, x-ratelimit-a"
