"""The Compose file: a gateway, the tiny engine, and three apps that know http://llm-gateway:8080/v1 and their token."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest

from policies.json import Object, as_object
from tests.docker.conftest import Images
from tests.docker.daemon import KEPT, call, docker, inspect
from tests.docker.running import Container, Project, name, project
from tests.system.process import ROOT, Ended, until
from tests.system.wire import loads

pytestmark = [pytest.mark.timeout(900)]

_FETCH = "import urllib.request as u; print(u.urlopen("
APPS = "deploy/examples/app/compose.yaml"


@dataclass(frozen=True, slots=True)
class Stack:
    """The gateway of the Compose file, in a copy of `deploy/` with configuration and secrets of its own."""

    project: Project
    variables: Mapping[str, str]
    secrets: Path

    @property
    def gateway(self) -> Container:
        return self.project.container("llm-gateway")


def variables(images: Images, network: str) -> dict[str, str]:
    return {
        "LLM_GATEWAY_IMAGE": images.gateway,
        "LLM_GATEWAY_DEMO_IMAGE": images.demo,
        "LLM_GATEWAY_NETWORK": network,
        "APP_IMAGE": images.base,
    }


def copied(to: Path) -> Path:
    """`deploy/`, to write secrets into; Compose reads paths from where its file lies."""
    shutil.copytree(ROOT / "deploy", to / "deploy")
    shutil.copytree(ROOT / "observability" / "prometheus", to / "observability" / "prometheus")
    return to


@pytest.fixture(scope="module")
def stack(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`GATEWAY_CONFIG=demo.yaml docker compose --profile demo up`, as docs/containers.md has it."""
    folder = copied(tmp_path_factory.mktemp("stack"))
    secrets = folder / "deploy" / "compose" / "secrets"
    for service in ("web", "reports"):
        token = docker("run", "--rm", images.gateway, "keys", "secret")
        (secrets / service).write_text(token + "\n")
    chosen = {**variables(images, name()), "GATEWAY_CONFIG": "demo.yaml", "TOKENS": str(secrets)}
    with project(str(folder / "deploy/compose.yaml"), chosen, "demo") as made:
        made.up()
        found = Stack(made, chosen, secrets)
        found.gateway.ready()
        yield found


@pytest.fixture(scope="module")
def apps(stack: Stack) -> Iterator[Project]:
    """The example's three apps, each run to its end."""
    with project(APPS, stack.variables) as made:
        made.up()
        for service in ("web", "reports", "visitor"):
            made.container(service).ended()
        yield made


def test_with_a_token_an_answer_streams(apps: Project) -> None:
    said = apps.container("web").output
    assert said.code == 0, said
    assert said.out.endswith("\ndone\n")
    assert "llm-gateway is the one door" in said.out


def test_without_one_it_is_401(apps: Project) -> None:
    assert apps.container("visitor").output == Ended(1, "refused: 401 missing_credential\n", "")


def test_for_another_model_it_is_403(apps: Project) -> None:
    assert apps.container("reports").output == Ended(1, "refused: 403 model_not_permitted\n", "")


def test_the_access_line_names_the_service(apps: Project, stack: Stack) -> None:
    address = str(as_object(as_object(inspect(apps.container("web").id)["Config"])["Labels"]))
    assert "web" in address
    lines: list[Object] = []

    def written() -> bool:
        err = stack.gateway.output.err.split("\n")[:-1]
        lines[:] = [loads(line) for line in err if line.startswith('{"event":"access"')]
        said = {(line.get("caller"), line["status"]) for line in lines}
        return said >= {("web", 200), ("reports", 403), (None, 401)}

    until(written, 20.0, "the access lines")
    # By Docker's own DNS: the project and the service of another stack, on a network that they share.
    (answered,) = (line for line in lines if line.get("caller") == "web" and line.get("stream"))
    assert (answered.get("stack"), answered.get("service")) == (apps.name, "web"), answered


def test_inside_the_gateways_container(stack: Stack) -> None:
    gateway = stack.gateway
    status = dict(line.split(":\t", 1) for line in gateway.python("print(open('/proc/1/status').read())").splitlines())
    assert "0" not in status["Uid"].split()
    assert status["CapEff"] == "0" * 16
    assert status["NoNewPrivs"] == "1"
    assert "Read-only file system" in gateway.run("python3", "-c", "open('/etc/x', 'w')").err
    assert as_object(inspect(gateway.id)["HostConfig"])["PortBindings"] in ({}, None), "no port of the host's"


def test_an_app_reaches_the_gateway_and_nothing_behind_it(stack: Stack, images: Images) -> None:
    """It is in the network of doors alone: no engine, no internet; neither by name nor by address. What listens on this
    machine at every address, as engines do that containers are to reach, is for the gateway alone."""
    tiny = stack.project.container("tiny")
    network = stack.variables["LLM_GATEWAY_NETWORK"]
    host = stack.gateway.python("import socket; print(socket.gethostbyname('host.docker.internal'))")
    subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network)
    near = str(next(ip_network(subnet).hosts()))
    code = (
        "import socket, sys\n"
        "def open_(host, port):\n"
        "    try: socket.create_connection((host, port), 1).close()\n"
        "    except OSError: return 'no'\n"
        "    return 'yes'\n"
        "print(*(open_(h, int(p)) for h, p in (each.split() for each in sys.argv[1:])))"
    )
    with socket.create_server(("0.0.0.0", 0)) as engine:  # noqa: S104 - as `OLLAMA_HOST=0.0.0.0` does
        port = engine.getsockname()[1]
        places = [
            "llm-gateway 8080",
            "tiny 9000",
            f"{tiny.ip} 9000",
            "llm-gateway 8081",
            f"{host} {port}",
            f"{near} {port}",
        ]
        said = docker(
            "run", "--rm", "--network", network, "--entrypoint", "python3", images.gateway, "-c", code, *places
        )
        assert said == "yes no no no no no"
        assert stack.gateway.python(f"import socket; socket.create_connection(('{host}', {port}), 5)") == ""


def test_a_new_secret_in_the_file_is_the_token_from_then_on(stack: Stack, images: Images) -> None:
    old = (stack.secrets / "web").read_text().strip()
    new = docker("run", "--rm", images.gateway, "keys", "secret")
    (stack.secrets / "web.new").write_text(new)
    (stack.secrets / "web.new").rename(stack.secrets / "web")
    until(
        lambda: stack.gateway.get("/v1/me", f"Authorization: Bearer {new}").status == 200,
        10.0,
        "the new one is accepted",
    )
    assert stack.gateway.get("/v1/me", f"Authorization: Bearer {old}").status == 200, "the overlap is an hour"


def test_a_restart_keeps_what_was_there(stack: Stack) -> None:
    key = stack.gateway.create_key("kept")
    assert stack.project.run("restart", "llm-gateway").code == 0
    stack.gateway.listens()
    assert stack.gateway.get("/v1/me", key.bearer).status == 200


def redis_image(base: str, folder: Path) -> str:
    """What the distribution calls redis-server, on the base."""
    (archive,) = KEPT.glob("redis-*.tar")
    shutil.copy(archive, folder / "redis.tar")
    (folder / "Dockerfile").write_text(
        f"FROM {base}\nADD redis.tar /\n"
        """RUN ["python3", "-c", "import os; os.mkdir('/data'); os.chown('/data', 999, 999)"]\n"""
    )
    tag = f"{name()}-redis"
    docker("build", "--quiet", "--tag", tag, str(folder))
    return tag


def prometheus_image(base: str, folder: Path) -> str:
    """The distribution's Prometheus, which the tests have anyway, on the base."""
    program = shutil.which("prometheus")
    assert program is not None, "no prometheus: requirements/system.sh installs it"
    shutil.copy(program, folder / "prometheus")
    (folder / "Dockerfile").write_text(
        f'FROM {base}\nCOPY prometheus /bin/prometheus\nENTRYPOINT ["/bin/prometheus"]\n'
    )
    tag = f"{name()}-prometheus"
    docker("build", "--quiet", "--tag", tag, str(folder))
    return tag


def observed(text: str) -> str:
    """The configuration with what it says is for the profile `observability`."""
    text = re.sub(r"(?m)^admin:.*$", "", text)
    return text.replace("# admin: {bind: 0.0.0.0", "admin: {bind: 0.0.0.0")


def uncommented(text: str) -> str:
    """The configuration with what it says is for the profiles `opa` and `redis`."""
    return text.replace("# policy: {engine: remote", "policy: {engine: remote").replace(
        "# stores: {redis", "stores: {redis"
    )


def test_profiles_opa_and_redis(images: Images, tmp_path: Path) -> None:
    """The real programs; the gateway decides and counts with them, and refuses when OPA is gone."""
    folder = copied(tmp_path)
    config = folder / "deploy/compose/config/gateway.yaml"
    text = uncommented(config.read_text())
    assert text.count("\npolicy: ") == 1, "the file has changed"
    assert text.count("\nstores: ") == 1, "the file has changed"
    config.write_text(text)
    (tmp_path / "redis").mkdir()
    redis = redis_image(images.base, tmp_path / "redis")
    opa = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "llm-gateway-opa").split()[0]
    chosen = {**variables(images, name()), "OPA_IMAGE": opa, "REDIS_IMAGE": redis}
    try:
        with project(str(folder / "deploy/compose.yaml"), chosen, "opa", "redis") as made:
            made.up()
            gateway = made.container("llm-gateway").listens()
            until(lambda: gateway.why_not_ready == "no engine with a model is up", 20.0, "the policy engine answers")
            policies = gateway.python(f"{_FETCH}'http://opa:8181/v1/policies').read().decode())")
            assert "package gateway" in policies, "the gateway puts its policy there"
            key = gateway.create_key("someone")
            assert gateway.get("/v1/models", key.bearer).status == 200
            assert made.container("redis").run("redis-cli", "--scan", "--pattern", "llm-gateway:*").out.strip()
            assert made.run("stop", "--timeout", "5", "opa").code == 0
            until(lambda: gateway.why_not_ready == "the policy engine does not answer", 20.0, "it is missed")
    finally:
        call("docker", "rmi", redis)


def test_profile_observability_finds_the_gateway(images: Images, tmp_path: Path) -> None:
    """Prometheus for real, with the files and the secret that it gets there; the other images cannot be had here."""
    folder = copied(tmp_path)
    config, others = folder / "deploy/compose/config/gateway.yaml", folder / "deploy/observability.compose.yaml"
    config.write_text(observed(config.read_text()))
    (tmp_path / "image").mkdir()
    image = prometheus_image(images.base, tmp_path / "image")
    text = re.sub(r"image: prom/prometheus:\S+", f"image: {image}", others.read_text())
    others.write_text(text.replace('ports: ["127.0.0.1:9090:9090"]', ""))
    try:
        with project(str(folder / "deploy/compose.yaml"), variables(images, name()), "observability") as made:
            made.up("llm-gateway")
            gateway = made.container("llm-gateway").listens()
            key = gateway.create_key("prometheus", "--scope", "metrics:read", "--listener", "admin")
            (folder / "deploy/compose/secrets/prometheus").write_text(key.secret)
            made.up("prometheus")
            prometheus = made.container("prometheus")
            ask = f"{_FETCH}'http://localhost:9090/api/v1/query?query=up').read().decode())"
            up = '"job":"llm-gateway"},"value":['
            until(
                lambda: up in (said := prometheus.run("python3", "-c", ask).out) and ',"1"]' in said, 60.0, "it is up"
            )
    finally:
        call("docker", "rmi", image)
