"""What Docker Compose is told, byte for byte, and which gateway is asked with which key."""

from __future__ import annotations

import argparse
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.cli.compose import parser as compose
from edge.cli.compose.messages import Messages
from edge.cli.compose.options import OPTIONS, metadata
from edge.cli.compose.place import find
from edge.cli.compose.provider import address_of
from edge.cli.live.access import Given, Made
from edge.cli.live.client import Where
from edge.config.problems import ConfigError
from edge.config.values import Bind
from edge.identity.grant import Grant
from edge.identity.stack import StackService
from edge.identity.state import StateError
from edge.identity.store.opening import open_keys
from edge.identity.store.stacks import StackKeys
from edge.running import Running, note, noted
from policies.json import Object, as_list, as_object

ADMIN_KEY = "lgw_a_given_key"


@dataclass
class Cli:
    """The command as Compose runs it."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, project: str = "shop") -> tuple[int, list[Object]]:
        """The exit code, and the messages; nothing else may stand on standard output."""
        parser = argparse.ArgumentParser(prog="llm-gateway")
        compose.add_parser(parser.add_subparsers(dest="command"))
        try:
            code = compose.run(parser.parse_args(["compose", f"--project-name={project}", *arguments]))
        except SystemExit as ended:
            code = int(str(ended.code))
        return code, [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    for name in [name for name in os.environ if name.startswith("LLM_GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LLM_GATEWAY_HOME", str(tmp_path / "home"))
    return Cli(capsys)


def error(messages: list[Object]) -> str:
    assert [message["type"] for message in messages] == ["error"]
    return str(messages[0]["message"])


def door(url: str, *, loopback: bool) -> Object:
    return {"name": "x", "url": url, "loopback": loopback}


@pytest.mark.parametrize(
    ("doors", "address"),
    [
        ([door("http://127.0.0.1:1", loopback=True)], "http://host.docker.internal:1/v1"),
        (
            [door("http://127.0.0.1:1", loopback=True), door("http://172.17.0.1:2", loopback=False)],
            "http://host.docker.internal:2/v1",
        ),
        (
            [door("http://127.0.0.1:1", loopback=True), door("https://127.0.0.1:2", loopback=False)],
            "http://host.docker.internal:1/v1",
        ),
        ([door("https://127.0.0.1:2", loopback=False)], "https://host.docker.internal:2/v1"),
    ],
)
def test_containers_get_a_door_that_they_can_use(doors: list[Object], address: str) -> None:
    """Beside the laptop's door of docs/exposure.md, whose authority they do not know, the plain one."""
    assert address_of(doors) == address


def test_messages_are_single_lines_of_json_with_type_and_message() -> None:
    lines: list[str] = []
    say = Messages(lines.append)
    say.info("a\nb\x1b[31m")
    say.error("x" * 1000)
    say.set("URL", "http://h/v1")
    say.set_as_it_is("OPENAI_API_KEY", "k=v")
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    found = [json.loads(line) for line in lines]
    assert found[0] == {"type": "info", "message": "a\\nb\\x1b[31m"}
    assert len(found[1]["message"]) <= 500
    assert found[2:] == [
        {"type": "setenv", "message": "URL=http://h/v1"},
        {"type": "rawsetenv", "message": "OPENAI_API_KEY=k=v"},
    ]


def test_metadata_names_every_option_as_compose_reads_it(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    compose.add_parser(parser.add_subparsers(dest="command"))
    assert compose.run(parser.parse_args(["compose", "metadata"])) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == metadata()
    assert document.keys() == {"description", "up", "down"}, "`stop` would let Compose pause what cannot be resumed"
    up = [as_object(each) for each in as_list(as_object(document["up"])["parameters"])]
    assert [each["name"] for each in up] == [option.name for option in OPTIONS]
    assert [each["name"] for each in up if each["required"] is True] == ["model"]
    assert {each["type"] for each in up} == {"string", "integer", "boolean"}
    assert all(isinstance(each.get("default", ""), str) for each in up), "a Go string"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("llm",), "required: --model"),
        (("--model=*", "llm"), "no wildcards"),
        (("--model=a b", "llm"), "no wildcards"),
        (("--model=m", "--rpm=1e+06", "llm"), "whole number"),
        (("--model=m", "--rpm=0", "llm"), "whole number of at least 1"),
        (("--model=m", "--pull=yes", "llm"), "true or false"),
        (("--model=m", "--url=llm-gateway:8080", "llm"), "must be a URL"),
        (("--model=m", "--url=http://user@h/v1", "llm"), "must be a URL"),
        (("--model=m", "--url=http://h/v1\nX=1", "llm"), "without spaces and line breaks"),
        (("--model=m", "--key=x", "llm"), "unrecognized arguments"),
        (("--model=m", "--mod=x", "llm"), "unrecognized arguments"),
        (("--model=m", "a b"), "service's name"),
    ],
)
def test_what_is_wrong_in_the_compose_file_is_told_in_composes_way(
    cli: Cli, arguments: tuple[str, ...], complaint: str
) -> None:
    code, messages = cli("up", *arguments)
    assert code == 2
    assert complaint in error(messages)


def test_a_project_without_a_name_gets_nothing(cli: Cli) -> None:
    for project in ("", "Shop", "a/b", "-a"):
        code, messages = cli("up", "--model=m", "llm", project=project)
        assert (code, "project's name" in error(messages)) == (2, True)


def test_without_a_gateway_up_fails_with_the_next_step_and_makes_no_state(cli: Cli, tmp_path: Path) -> None:
    code, messages = cli("up", "--model=m", "llm")
    assert code == 1
    assert f"LLM_GATEWAY_HOME is {tmp_path / 'home'}" in error(messages)
    assert cli("down", "llm") == (0, [{"type": "info", "message": "there was no key"}])
    assert not (tmp_path / "home" / "gateway.db").exists()


def test_nobody_who_answers_is_a_failure_that_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_keys(home).store.create(Grant("first"))
    with note(home, Running(None, Bind("127.0.0.1", 1))):
        code, messages = cli("up", "--model=m", "llm")
    assert code == 1
    assert "no gateway answers on 127.0.0.1:1 (LLM_GATEWAY_HOME is" in str(messages[-1]["message"])
    (first,) = open_keys(home).store.list()
    assert first.grant.name == "first", "the key it made for itself is gone"


def test_who_listens_on_the_port_of_a_gateway_that_is_away_gets_no_key(cli: Cli, tmp_path: Path) -> None:
    """Anybody of this machine may, and it would be an admin's."""
    home = tmp_path / "home"
    open_keys(home).store.create(Grant("first"))
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.setblocking(False)
        note(home, Running(None, Bind("127.0.0.1", stranger.getsockname()[1]))).close()  # it has ended
        code, messages = cli("up", "--model=m", "llm")
        assert (code, "no gateway answers" in error(messages)) == (1, True)
        with pytest.raises(BlockingIOError):
            stranger.accept()


def test_a_note_tells_whether_its_gateway_runs(tmp_path: Path) -> None:
    assert noted(tmp_path) is None
    first = note(tmp_path, Running(None, Bind("127.0.0.1", 1)))
    with note(tmp_path, Running(None, Bind("127.0.0.1", 2))):
        found = noted(tmp_path)
        assert (found and found.admin.port, found and found.alive) == (2, True)
    found = noted(tmp_path)
    assert (found and found.admin.port, found and found.alive) == (2, False), "the first one runs, elsewhere"
    first.close()


def test_down_revokes_though_no_gateway_runs_and_only_what_is_the_stacks(cli: Cli, tmp_path: Path) -> None:
    keys = open_keys(tmp_path / "home")
    given = StackKeys(keys.database, keys.peppers, lambda: 1.0)
    for project, service in (("shop", "llm"), ("shop", "other"), ("blog", "llm")):
        given.provide(StackService(project, service), Grant("x"))
    keys.store.create(Grant("shop/llm"))
    assert cli("down", "llm") == (0, [{"type": "info", "message": "key revoked"}])
    alive = [(record.grant.name, record.origin) for record in keys.store.list() if record.revoked_at is None]
    assert sorted(alive) == [("blog/llm", "compose"), ("shop/llm", "hand"), ("shop/other", "compose")]
    assert cli("down", "llm") == (0, [{"type": "info", "message": "there was no key"}])


def test_stop_leaves_the_key_alone(cli: Cli) -> None:
    assert cli("stop", "llm") == (0, [])


# -- which gateway ---------------------------------------------------------------------------------------------------


def place(tmp_path: Path, **env: str) -> Mapping[str, str]:
    return {"LLM_GATEWAY_HOME": str(tmp_path), **env}


def test_a_gateway_elsewhere_comes_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(ADMIN_KEY + "\n")
    for key in ({"LLM_GATEWAY_ADMIN_KEY": ADMIN_KEY}, {"LLM_GATEWAY_ADMIN_KEY_FILE": str(file)}):
        found = find(place(tmp_path, LLM_GATEWAY_ADMIN_URL="https://gw.example:8443/", **key))
        assert found.where == Where("gw.example", 8443, tls=True)
        assert isinstance(found.access, Given)
        assert (found.access.key, found.state) == (ADMIN_KEY, None)
    local = find(place(tmp_path, LLM_GATEWAY_ADMIN_URL="http://[::1]:81", LLM_GATEWAY_ADMIN_KEY=ADMIN_KEY))
    assert local.where == Where("::1", 81)


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({"LLM_GATEWAY_ADMIN_URL": "http://127.0.0.1:81"}, "there is no key for it"),
        ({"LLM_GATEWAY_ADMIN_URL": "http://10.0.0.1:81", "LLM_GATEWAY_ADMIN_KEY": "k"}, "in clear text to 10.0.0.1"),
        ({"LLM_GATEWAY_ADMIN_URL": "ftp://h", "LLM_GATEWAY_ADMIN_KEY": "k"}, "is no address"),
        ({"LLM_GATEWAY_ADMIN_URL": "http://h:x", "LLM_GATEWAY_ADMIN_KEY": "k"}, "is no address"),
        ({"LLM_GATEWAY_ADMIN_URL": "https://h/admin", "LLM_GATEWAY_ADMIN_KEY": "k"}, "is no address"),
        ({"LLM_GATEWAY_ADMIN_URL": "https://h", "LLM_GATEWAY_ADMIN_KEY_FILE": "/nonexistent"}, "cannot be read"),
        ({"LLM_GATEWAY_ADMIN_URL": "https://h", "LLM_GATEWAY_ADMIN_KEY_FILE": __file__}, "holds no key"),
    ],
)
def test_an_address_without_a_key_or_in_clear_text_is_refused(
    tmp_path: Path, env: dict[str, str], complaint: str
) -> None:
    with pytest.raises(StateError, match=complaint):
        find(place(tmp_path, **env))


def test_the_state_folder_says_where_its_gateway_is_and_the_applications_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "gateway.yaml").write_text("admin: {bind: '127.0.0.1:666'}")
    monkeypatch.chdir(tmp_path / "app")
    assert find(place(tmp_path)).where == Where("127.0.0.1", 8081)
    real = tmp_path / "real.yaml"
    real.write_text("stores: {database: 'sqlite:////elsewhere.db'}")
    with note(tmp_path, Running(real, Bind("0.0.0.0", 4711))):  # noqa: S104 - nothing listens there
        found = find(place(tmp_path))
    assert found.where == Where("127.0.0.1", 4711)
    assert isinstance(found.access, Made)
    assert found.state is not None
    assert found.state.running
    assert found.state.settings.stores.database == "sqlite:////elsewhere.db"
    assert (tmp_path / "running.json").stat().st_mode & 0o777 == 0o600
    real.write_text("nonsense: 1")
    with pytest.raises(ConfigError):
        find(place(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"admin": 5}', '{"admin": "x"}'])
def test_a_note_that_cannot_be_read_is_no_note(tmp_path: Path, content: str) -> None:
    (tmp_path / "running.json").write_text(content)
    assert find(place(tmp_path)).where == Where("127.0.0.1", 8081)
