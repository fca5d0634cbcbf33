"""Stacks with `provider: {type: llm-gateway}`, by a real Docker Compose: up, use, down; none sees another's key."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from policies.json import Object, as_list, as_object
from tests.docker.daemon import call, docker, inspect
from tests.system.process import COMMAND, ROOT, Ended, Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL
from tests.system.wire import loads

pytestmark = [pytest.mark.timeout(600)]

FILE: Final = ROOT / "deploy" / "examples" / "provider" / "compose.yaml"
COMPOSE: Final = Path(sys.executable).parent / "docker-compose"
VARIABLES: Final = {"LLM_URL", "LLM_BASE_URL", "LLM_MODEL", "LLM_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY"}


@dataclass(frozen=True, slots=True)
class Stack:
    """A Compose project of the example, beside the gateway of `env`."""

    name: str
    env: Mapping[str, str]

    def compose(self, *arguments: str, **env: str) -> Ended:
        return call(str(COMPOSE), "-p", self.name, "-f", str(FILE), *arguments, env={**self.env, **env}, within=120.0)

    def up(self, **env: str) -> None:
        ended = self.compose("up", "-d", **env)
        assert ended.code == 0, ended.err

    def down(self) -> Ended:
        return self.compose("down", "--timeout", "5")

    @property
    def container(self) -> str:
        ended = self.compose("ps", "-q", "app")
        assert ended.out.strip(), ended.err
        return ended.out.strip()

    @property
    def variables(self) -> dict[str, str]:
        """What Compose put into the application's environment."""
        lines = as_list(as_object(inspect(self.container)["Config"])["Env"])
        return {name: value for name, _, value in (str(line).partition("=") for line in lines)}

    @property
    def key(self) -> Key:
        text = self.variables["LLM_API_KEY"]
        return Key(text.split("_")[1], text)

    def answer(self) -> Object:
        """What the application was answered."""
        until(lambda: "\n" in docker("logs", self.container) + "\n" and bool(self._said()), 60.0, "it has an answer")
        return loads(self._said())

    def _said(self) -> str:
        return docker("logs", self.container).partition("\n")[0]


@pytest.fixture
def engine() -> Iterator[RecordingEngine]:
    with RecordingEngine() as engine:
        yield engine


@pytest.fixture
def gateway(engine: RecordingEngine, base: str, tmp_path: Path) -> Iterator[Gateway]:
    """One on Docker's bridge, where containers reach this machine."""
    host = "host.docker.internal"
    bridge = docker("run", "--rm", "--add-host", f"{host}:host-gateway", base, "getent", "hosts", host).split()[0]
    listener: Object = {"bind": f"{bridge}:0", "insecure": True}
    gateway = Gateway(tmp_path / "gateway", configuration(engine.url, listener=listener))
    try:
        yield gateway.start().ready()
    finally:
        gateway.kill()


@pytest.fixture
def stacks(gateway: Gateway, base: str, tmp_path: Path) -> Iterator[list[Stack]]:
    """Two of the same file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "llm-gateway"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    env = {
        **gateway.environment,
        "PATH": f"{programs}:{gateway.environment['PATH']}",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "APP_IMAGE": base,
        "MODEL": MODEL,
    }
    found = [Stack(f"lgw-{name}-{uuid.uuid4().hex[:8]}", env) for name in ("shop", "blog")]
    try:
        yield found
    finally:
        for stack in found:
            stack.down()


def status(gateway: Gateway, key: Key) -> int:
    return gateway.get("/v1/me", key.bearer).status


def test_up_use_down_and_the_key_is_gone_and_another_stack_has_another(
    gateway: Gateway, stacks: list[Stack], engine: RecordingEngine
) -> None:
    shop, blog = stacks
    for stack in stacks:
        stack.up()
    for stack in stacks:
        variables = stack.variables
        assert variables.keys() >= VARIABLES
        assert variables["OPENAI_BASE_URL"] == f"http://host.docker.internal:{gateway.address[1]}/v1"
        assert (variables["OPENAI_API_KEY"], variables["LLM_MODEL"]) == (stack.key.secret, MODEL)
        choice = as_object(as_list(stack.answer()["choices"])[0])
        assert as_object(choice["message"])["content"] == "Hello there"
        me = loads(gateway.get("/v1/me", stack.key.bearer).body)
        assert (me["id"], me["name"]) == (f"compose:{stack.name}", f"{stack.name}/llm")
        assert (as_object(me["limits"])["rpm"], as_object(me["limits"])["tpd"]) == (60, 500000)
    assert len(engine.requests) == 2
    shops, blogs = shop.key, blog.key
    assert shops.secret not in docker("inspect", blog.container)
    assert blogs.secret not in docker("inspect", shop.container)
    ended = shop.down()
    assert ended.code == 0, ended.err
    until(lambda: status(gateway, shops) == 401, 5.0, "the shop's key is gone")
    assert status(gateway, blogs) == 200
    assert "active" not in [key["status"] for key in _keys(gateway) if key["owner"] == f"compose:{shop.name}"]


def test_a_second_up_and_a_stop_with_a_start_leave_the_key_as_it_is(gateway: Gateway, stacks: list[Stack]) -> None:
    shop, _ = stacks
    shop.up()
    variables, key = shop.variables, shop.key
    shop.up()
    assert shop.variables == variables
    assert status(gateway, key) == 200
    assert shop.compose("stop", "--timeout", "5").code == 0
    assert shop.compose("start").code == 0
    assert status(gateway, key) == 200, "`docker compose start` asks no provider"


def test_a_model_that_is_nowhere_stops_the_stack_with_the_reason(gateway: Gateway, stacks: list[Stack]) -> None:
    shop, _ = stacks
    ended = shop.compose("up", "-d", MODEL="nowhere")
    assert ended.code != 0
    assert "model nowhere: no engine has it (`pull: true` has an engine fetch it)" in ended.err
    assert shop.compose("ps", "-aq").out.strip() == "", "nothing was started"
    assert [key["name"] for key in _keys(gateway) if key["origin"] == "compose"] == []


def test_down_while_the_gateway_is_away_revokes_all_the_same(gateway: Gateway, stacks: list[Stack]) -> None:
    shop, _ = stacks
    shop.up()
    key = shop.key
    gateway.stop()
    ended = shop.down()
    assert ended.code == 0, ended.err
    gateway.start().ready()
    assert status(gateway, key) == 401


def _keys(gateway: Gateway) -> list[Object]:
    listed = gateway.run("keys", "list", "--json")
    return [as_object(each) for each in as_list(loads('{"k":' + listed.out + "}")["k"])]
