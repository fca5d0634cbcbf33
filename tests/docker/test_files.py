"""The files that describe containers fit together, are valid, and keep what they promise. Nothing is started here."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from policies.json import Object, as_object, as_str
from tests.docker.daemon import call
from tests.docker.running import program
from tests.docker.test_compose import uncommented
from tests.system.process import ROOT

DEPLOY = ROOT / "deploy"
CONFIGS = [DEPLOY / "image/gateway.yaml", *sorted((DEPLOY / "compose/config").glob("*.yaml"))]
FILES = ["compose.yaml", "observability.compose.yaml", "examples/app/compose.yaml"]


def read(path: str) -> Object:
    return as_object(yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8")))


def services(path: str) -> dict[str, Object]:
    return {name: as_object(service) for name, service in as_object(read(path)["services"]).items()}


def composes() -> list[tuple[str, ...]]:
    """Each Compose there is: the one built for tests, and Debian's."""
    if shutil.which("docker-compose") is None and shutil.which("docker") is None:
        pytest.skip("no Compose on this machine: its files were not read by one")
    debians = shutil.which("docker-compose")
    return list(dict.fromkeys([program(), *([(debians,)] if debians else [])]))


@pytest.mark.parametrize("file", FILES)
def test_compose_reads_it(file: str) -> None:
    for compose in composes():
        profiles = [word for each in ("demo", "opa", "redis", "observability") for word in ("--profile", each)]
        ended = call(*compose, "-f", str(DEPLOY / file), *profiles, "config")
        assert ended.code == 0, ended.err
        assert set(as_object(as_object(yaml.safe_load(ended.out))["services"])) == set(services(file))


def test_nothing_is_open_to_others_and_everything_of_ours_is_locked() -> None:
    for name, service in services("compose.yaml").items():
        if "extends" in service:
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "ports" not in service, name
        assert "docker.sock" not in str(service), name


def test_apps_share_a_network_with_the_gateway_alone() -> None:
    file = read("compose.yaml")
    joined = {name for name, service in services("compose.yaml").items() if "doors" in str(service.get("networks"))}
    assert joined == {"llm-gateway"}
    doors = as_object(as_object(file["networks"])["doors"])
    assert doors["internal"] is True
    assert doors["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}, "the way to the host is open"
    gateway = as_object(services("compose.yaml")["llm-gateway"]["networks"])
    assert as_object(gateway["doors"])["aliases"] == ["llm-gateway"]
    apps = as_object(as_object(read("examples/app/compose.yaml")["networks"])["llm-gateway"])
    assert (apps["name"], apps["external"]) == (doors["name"], True)


def test_with_models_the_app_does_not_read_the_runners_own_address() -> None:
    web = services("examples/models/compose.yaml")["web"]
    model = as_object(as_object(web["models"])["chat"])
    app = (DEPLOY / "examples/app/app.py").read_text()
    assert as_str(model["model_var"]) in app
    assert as_str(model["endpoint_var"]) not in app
    assert as_object(web["environment"])["OPENAI_BASE_URL"] == "http://llm-gateway:8080/v1"


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    opa = re.findall(r"^version=v(.+)$", (ROOT / "requirements/opa.sh").read_text(), re.MULTILINE)[0]
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^ARG VERSION=(.+)$", dockerfile, re.MULTILINE) == [version]
    assert re.findall(r"^ARG OPA=openpolicyagent/opa:(.+)-static$", dockerfile, re.MULTILINE) == [opa]
    compose = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"openpolicyagent/opa:([0-9.]+)", compose)) == {opa}
    assert set(re.findall(r":-llm-gateway(?:-demo)?:([0-9.]+)}", compose)) == {version}


def test_no_step_of_the_build_uses_a_shell_or_carries_a_secret() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    instructions = re.findall(r"^\s*(RUN|CMD|ENTRYPOINT) (.*)$", text, re.MULTILINE)
    assert [each for each in instructions if not each[1].startswith("[")] == []
    assert not re.search(r"PROXY|CERT|INDEX|TOKEN|PASSWORD", text)


def test_what_is_sent_to_a_build_is_named_one_by_one() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert "!deploy/image" in rules
    assert not {"!deploy", "!.git", "!.cache", "!tests"} & set(rules)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_configurations_are_valid(file: Path, tmp_path: Path) -> None:
    text = uncommented(file.read_text()).replace("/run/secrets/", f"{tmp_path}/")
    (tmp_path / "gateway.yaml").write_text(text)
    for secret in re.findall(r"secret_file: ([^,}]+)", text):
        Path(secret).write_text(call(sys.executable, "-m", "edge", "keys", "secret").out)
    ended = call(sys.executable, "-m", "edge", "config", "check", "--config", str(tmp_path / "gateway.yaml"))
    assert ended.code == 0, ended.err
