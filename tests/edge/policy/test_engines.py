"""Which engine decides follows from the settings and from what is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.config.settings import Policy, PolicyEngineKind
from edge.config.values import Secret
from edge.policy.engines import Engine, find_opa, maker
from edge.policy.errors import PolicyToolError
from policies.bundle import Bundle
from policies.opa.remote import RemoteEngine

OPA = Path(sys.executable).parent / "opa"
BUNDLE = Bundle({"a.rego": "package gateway.authz\n"})


async def made(settings: Policy) -> Engine:
    engine = maker(settings)(BUNDLE)
    await engine.close()
    return engine


def program(folder: Path, said: str, code: int = 0) -> Path:
    made_up = folder / "opa"
    made_up.write_text(f"#!/bin/sh\necho '{said}'\nexit {code}\n")
    made_up.chmod(0o755)
    return made_up


@pytest.fixture(autouse=True)
def _no_opa_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


async def test_without_anything_installed_the_embedded_one_decides() -> None:
    assert (await made(Policy())).kind == "embedded"


async def test_an_installed_opa_decides_unless_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{OPA.parent}:/usr/bin:/bin")
    assert (await made(Policy())).kind == "opa"
    assert (await made(Policy(engine=PolicyEngineKind.EMBEDDED))).kind == "embedded"


async def test_an_address_means_a_remote_one_with_a_policy_of_its_own_unless_it_is_pushed() -> None:
    settings = Policy(url="http://127.0.0.1:1", token=Secret("t"))
    engine = await made(settings)
    assert isinstance(engine, RemoteEngine)
    assert (engine.kind, engine.revision) == ("remote", "")
    pushed = await made(Policy(url="http://127.0.0.1:1", push=True))
    assert pushed.revision == BUNDLE.revision


@pytest.mark.parametrize(("said", "code"), [("Version: 0.70.0", 0), ("nonsense", 0), ("Version: 1.9.0", 1)])
async def test_an_opa_that_is_too_old_or_broken_is_none(tmp_path: Path, said: str, code: int) -> None:
    settings = Policy(engine=PolicyEngineKind.OPA, opa=program(tmp_path, said, code))
    assert find_opa(settings) is None
    with pytest.raises(PolicyToolError, match="brew install opa"):
        maker(settings)
    assert (await made(Policy(opa=settings.opa))).kind == "embedded"


def test_an_authority_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", program(tmp_path, "no certificate")):
        with pytest.raises(PolicyToolError, match="ca_file"):
            maker(Policy(url="https://opa:8181", ca_file=path))
