"""The access line, the trace and the policy know the calling container: by a real Docker's own DNS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pytest
import yaml

from policies.grants import policy_data
from policies.json import Object, as_str
from tests.docker.bare import Containers, bare_image, network
from tests.docker.daemon import docker
from tests.docker.running import name
from tests.system.collector import Collector, values
from tests.system.process import ROOT, until
from tests.system.wire import loads

pytestmark = [pytest.mark.timeout(600)]

STACK: Final = name()
NET: Final = f"{STACK}_default"
HOST: Final = "llm-gateway"
_POLICY: Final = """
package gateway.authz

deny contains {"code": "no_batch"} if input.source.container.service == "batch"
"""


@dataclass(frozen=True, slots=True)
class House:
    """A gateway in a container, a collector on this machine, and what runs beside them."""

    containers: Containers
    collector: Collector
    home: Path
    key: str

    def call(self, container: str, key: str = "") -> tuple[int, str]:
        """`GET /v1/models` by curl from within `container`, with `key` or a valid one: status and request id."""
        said = docker(
            *(
                "exec",
                container,
                "/usr/bin/curl",
                "--silent",
                "--show-error",
                "--output",
                "/dev/null",
                "--max-time",
                "20",
            ),
            *(
                "--write-out",
                "%{http_code} %header{x-request-id}",
                "--header",
                f"Authorization: Bearer {key or self.key}",
            ),
            f"http://{HOST}:8080/v1/models",
        )
        status, _, request_id = said.partition(" ")
        return int(status), request_id

    def line(self, request_id: str) -> Object:
        """The access line of one request."""
        found: list[Object] = []

        def written() -> bool:
            text = (self.home / "access.log").read_text() if (self.home / "access.log").exists() else ""
            found[:] = [loads(line) for line in text.split("\n")[:-1] if request_id in line]
            return bool(found)

        until(written, 20.0, f"an access line for {request_id}")
        return found[0]

    def named(self, container: str, key: str = "") -> Object:
        """Call until the gateway knows who calls; the access line."""
        lines: list[Object] = []

        def known() -> bool:
            lines.append(self.line(self.call(container, key)[1]))
            return "container" in lines[-1]

        until(known, 20.0, f"a name for {container}")
        return lines[-1]


@pytest.fixture(scope="module")
def house(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("who")
    with ExitStack() as stack:
        image = stack.enter_context(bare_image(f"{STACK}-bare"))
        address = stack.enter_context(network(NET))
        collector = stack.enter_context(Collector(address))
        containers = stack.enter_context(Containers(image, NET))
        yield House(containers, collector, home, _start(containers, collector, home))


def _start(containers: Containers, collector: Collector, home: Path) -> str:
    """Start the gateway; the key of the first start."""
    policy = home / "policy"
    shutil.copytree(
        ROOT / "policies" / "rego", policy, ignore=shutil.ignore_patterns("*.py", "examples", "__pycache__")
    )
    (policy / "who.rego").write_text(_POLICY)
    (policy / "data.json").write_text(orjson.dumps(policy_data([])).decode())
    (home / "gateway.yaml").write_text(
        yaml.safe_dump(
            {
                "listeners": [{"name": "local", "bind": "0.0.0.0:8080", "insecure": True, "hosts": [HOST]}],
                "admin": {"bind": "127.0.0.1:0"},
                "engines": {"discover": False},
                "policy": {"engine": "embedded", "dir": str(policy), "timeout": "10s"},
                "telemetry": {
                    "access_log": str(home / "access.log"),
                    "otlp": collector.url,
                    "otlp_interval": "200ms",
                    "sample": 1,
                },
            }
        )
    )
    gateway = f"{STACK}-{HOST}-1"
    containers.start(
        gateway,
        *(sys.executable, "-m", "edge", "up", "--json", "--config", str(home / "gateway.yaml")),
        options=(
            *("--network-alias", HOST, "--workdir", str(ROOT), "--tmpfs", "/tmp"),  # noqa: S108 - in the container
            *("--env", f"LLM_GATEWAY_HOME={home / 'state'}", "--env", "PYTHONDONTWRITEBYTECODE=1"),
        ),
        writable=(home,),
    )

    def first() -> list[str]:
        return [line for line in docker("logs", gateway).splitlines() if '"listening"' in line]

    until(lambda: bool(first()), 60.0, "the gateway listens")
    made = docker("exec", gateway, sys.executable, "-m", "edge", "keys", "create", "apps", "--json")
    return as_str(loads(made)["key"])


def test_a_container_of_compose_is_named_with_its_stack_and_service(house: House) -> None:
    house.containers.sleeper(f"{STACK}-web-1", "web")
    line = house.named(f"{STACK}-web-1")
    assert {"status": 200, "container": f"{STACK}-web-1", "stack": STACK, "service": "web"}.items() <= line.items()
    request_id = as_str(line["request_id"])
    said = values(house.collector.trace(request_id)["GET /v1/models"].attributes)
    prefix = "llm_gateway.client."
    assert {name.removeprefix(prefix): value for name, value in said.items() if name.startswith(prefix)} == {
        "container": f"{STACK}-web-1",
        "network": NET,
        "stack": STACK,
        "service": "web",
    }


def test_names_of_version_1_and_services_with_dashes_are_read(house: House) -> None:
    house.containers.sleeper(f"{STACK}_my-web_2", "my-web")
    line = house.named(f"{STACK}_my-web_2")
    assert (line["stack"], line["service"]) == (STACK, "my-web")
    house.containers.sleeper(f"{STACK}-other-my-app-12", "my-app")  # of another project, on this network
    line = house.named(f"{STACK}-other-my-app-12")
    assert (line["stack"], line["service"]) == (f"{STACK}-other", "my-app")


def test_a_container_that_compose_did_not_make_has_its_name_only(house: House) -> None:
    house.containers.sleeper(f"{STACK}-fake-1")  # called like one, but no service of that name is there
    line = house.named(f"{STACK}-fake-1")
    assert line["container"] == f"{STACK}-fake-1"
    assert not {"stack", "service"} & line.keys()


def test_a_policy_can_say_no_by_it(house: House) -> None:
    house.containers.sleeper(f"{STACK}-batch-1", "batch")
    batch = f"{STACK}-batch-1"
    until(lambda: house.call(batch)[0] == 403, 20.0, "the policy knows the service")
    line = house.line(house.call(batch)[1])
    assert (line["status"], line["service"]) == (403, "batch")


def test_whoever_is_named_needs_a_key_all_the_same(house: House) -> None:
    house.containers.sleeper(f"{STACK}-stranger-1", "stranger")
    line = house.named(f"{STACK}-stranger-1", "none")
    assert (line["status"], line["service"]) == (401, "stranger")
    assert "caller" not in line


def test_callers_from_outside_of_the_network_have_no_container(house: House) -> None:
    address = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", f"{STACK}-{HOST}-1"
    )
    for _ in range(2):
        said = subprocess.run(
            ("curl", "--silent", "--dump-header", "-", "--output", "/dev/null", f"http://{address}:8080/v1/models"),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.lower()
        request_id = said.partition("x-request-id: ")[2][:32]
        assert "container" not in house.line(request_id)
