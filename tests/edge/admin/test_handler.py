"""Health is for anyone; everything else on the admin listener is for admins, and for nobody if there is no api."""

from __future__ import annotations

import json
import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from edge.admin.handler import AdminHandler, Readiness
from edge.admin.routes import SCOPES
from edge.identity.grant import Grant
from policies.principal import Scope
from tests.edge.admin.harness import admin, until
from tests.edge.listener.harness import Answer, listening

ROUTES = [
    ("GET", "/policy/bundle.tar.gz"),
    ("GET", "/policy/public-key.pem"),
    ("GET", "/policy/status"),
    ("POST", "/policy/status"),
    ("POST", "/policy/logs"),
]


def code(answer: Answer) -> str:
    found = json.loads(answer.body)["error"]["code"]
    assert isinstance(found, str)
    return found


async def test_health_needs_no_key(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        for path, document in (("/healthz", {"status": "ok"}), ("/readyz", {"status": "ready", "why": ""})):
            answer = await door.ask("GET", path, key=None)
            assert (answer.status, json.loads(answer.body)) == (200, document)
            assert answer.headers["cache-control"] == "no-store"
        assert door.lines.written == []


async def test_not_ready_is_503_and_says_why() -> None:
    handler = AdminHandler(readiness=lambda: Readiness(ready=False, why="draining"), randomness=os.urandom)
    async with listening(handler) as door:
        answer = await door.ask(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (answer.status, json.loads(answer.body)) == (503, {"status": "not ready", "why": "draining"})


async def test_without_an_api_there_is_nothing_else() -> None:
    handler = AdminHandler(readiness=lambda: Readiness(ready=True, why=""), randomness=os.urandom)
    async with listening(handler) as door:
        for method, path in [("POST", "/healthz"), ("GET", "/"), ("GET", "/policy/status"), ("GET", "/readyz/")]:
            answer = await door.ask(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert (answer.status, code(answer)) == (404, "unknown_route")


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/"), ("POST", "/healthz"), ("GET", "/policy")])
async def test_a_stranger_is_told_nothing(tmp_path: Path, method: str, path: str) -> None:
    async with admin(tmp_path) as door:
        answer = await door.ask(method, path, key=None)
        assert (answer.status, code(answer)) == (401, "missing_credential")
        assert answer.headers["www-authenticate"] == "Bearer"
        answer = await door.ask(method, path, key="lgw_aaaaaaaaaaaa_" + "b" * 49)
        assert (answer.status, code(answer)) == (401, "invalid_credential")
        assert door.listener.census.strangers == 2


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_key_without_the_scope_is_refused(tmp_path: Path, method: str, path: str) -> None:
    async with admin(tmp_path) as door:
        answer = await door.ask(method, path, key=door.plain)
        assert (answer.status, code(answer)) == (403, "scope_missing")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_the_key_of_an_opa_opens_what_an_opa_needs_and_nothing_else(
    tmp_path: Path, method: str, path: str
) -> None:
    async with admin(tmp_path) as door:
        key = door.store.create(Grant("opa", scopes=(Scope.POLICY_SYNC,)))[1].text
        door.reload_keys()
        answer = await door.ask(method, path, key=key)
        assert (answer.status == 403) is (SCOPES.get((method, path)) is not Scope.POLICY_SYNC)


async def test_an_admin_elsewhere_is_refused(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        for grant in (
            Grant("bound", scopes=(Scope.ADMIN,), listeners=("lan",)),
            Grant("bound", scopes=(Scope.ADMIN,), networks=(ip_network("10.0.0.0/8"),)),
        ):
            key = door.store.create(grant)[1].text
            door.reload_keys()
            answer = await door.ask("GET", "/policy/status", key=key)
            assert (answer.status, code(answer)) == (403, "place_not_permitted")


async def test_an_admin_finds_only_exact_routes(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        for method, path in [("GET", "/policy/bundle"), ("PUT", "/policy/status"), ("GET", "/policy/status/")]:
            answer = await door.ask(method, path)
            assert (answer.status, code(answer)) == (404, "unknown_route")


async def test_each_request_but_health_leaves_a_line(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        await door.ask("GET", "/policy/status")
        await door.ask("GET", "/policy/status", key=door.plain)
        await door.ask("GET", "/secret-path", key=None)
        await until(lambda: len(door.lines.written) == 3)
        lines = [(line["status"], line.get("reason"), line["route"]) for line in door.lines.written]
        assert lines == [(200, None, "/policy/status"), (403, "scope_missing", ""), (401, "missing_credential", "")]
        assert "secret-path" not in json.dumps(door.lines.written)


async def test_what_fails_inside_is_opaque_outside_and_loud_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with admin(tmp_path) as door:
        (tmp_path / "policy-signing.pem").write_text("garbage")
        answer = await door.ask("GET", "/policy/public-key.pem")
        assert (answer.status, code(answer)) == (500, "internal")
        assert b"garbage" not in answer.body
        assert "policy-signing.pem" in caplog.text
