"""A gateway that cannot start says why in one clear line, and exits with 2: no traceback, no half-open socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from policies.json import Object
from tests.system.process import Ended, Gateway, configuration, run
from tests.system.wire import loads

_SECRET = "canary-config-secret"


def _up(folder: Path, text: str, **env: str) -> Ended:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return run(
        "up", "--config", str(file), env={**os.environ, "LLM_GATEWAY_HOME": str(folder / "home"), **env}, within=20.0
    )


def _assert_clear(ended: Ended, *words: str) -> None:
    assert ended.code == 2, ended.err
    lines = [line for line in ended.err.splitlines() if line.strip()]
    assert len(lines) == 1, ended.err
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err, ended.err


def _good() -> Object:
    return configuration("http://127.0.0.1:9")


BROKEN: dict[str, tuple[str, tuple[str, ...]]] = {
    "broken YAML": ("listeners: [\nadmin: {", ("gateway.yaml:", "YAML")),
    "a list": ("- a\n- b\n", ("gateway.yaml",)),
    "unknown key": ("lisseners: []\n", ("gateway.yaml:1", "lisseners", "listeners")),
    "unknown key deeper": ("admin: {bind: 127.0.0.1:0, port: 5}\n", ("gateway.yaml:1", "port")),
    "wrong type": ("engines: {discover: maybe}\n", ("gateway.yaml:1", "discover", "true or false")),
    "a tag": ("admin: !!python/object/apply:os.system [id]\n", ("gateway.yaml:1", "tag")),
    "an alias": ("a: &a [1]\nb: *a\n", ("gateway.yaml:1",)),
    "a bad address": ("admin: {bind: nowhere}\n", ("gateway.yaml:1", "bind")),
    "a secret in clear": (
        "engines:\n  list:\n    - {name: a, kind: openai, url: 'http://127.0.0.1:9', api_key: " + _SECRET + "}\n",
        ("gateway.yaml:3", "api_key"),
    ),
    "an unset variable": (
        "engines:\n  list:\n    - {name: a, kind: openai, url: 'http://127.0.0.1:9', api_key: '${NOT_SET_ANYWHERE}'}\n",
        ("NOT_SET_ANYWHERE",),
    ),
    "exposed by accident": (
        "listeners: [{name: lan, bind: 0.0.0.0:0}]\n",
        ("gateway.yaml:1", "tls: auto", "insecure: true"),
    ),
    "unknown engine kind": (
        "engines: {list: [{name: a, kind: olama, url: 'http://127.0.0.1:9'}]}\n",
        ("gateway.yaml:1", "ollama"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_configuration(tmp_path: Path, name: str) -> None:
    text, words = BROKEN[name]
    ended = _up(tmp_path, text)
    _assert_clear(ended, *words)
    assert _SECRET not in ended.err + ended.out


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    ended = _up(tmp_path, "admin: {bind: nowhere}\nengines: {discover: maybe}\nlisseners: []\n")
    assert ended.code == 2
    assert all(word in ended.err for word in ("bind", "discover", "lisseners"))


def test_missing_file(tmp_path: Path) -> None:
    environment = {**os.environ, "LLM_GATEWAY_HOME": str(tmp_path / "home")}
    _assert_clear(run("up", "--config", str(tmp_path / "none.yaml"), env=environment), "none.yaml")


def test_unknown_option_is_wrong_usage(tmp_path: Path) -> None:
    assert run("up", "--no-such-option", env={**os.environ, "LLM_GATEWAY_HOME": str(tmp_path)}).code == 2


@pytest.mark.parametrize("which", ["listener", "admin"])
def test_port_in_use(tmp_path: Path, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = _good()
        if which == "admin":
            config["admin"] = {"bind": f"127.0.0.1:{port}"}
        else:
            config["listeners"] = [{"name": "local", "bind": f"127.0.0.1:{port}"}]
        _assert_clear(_up(tmp_path, yaml.safe_dump(config)), f"127.0.0.1:{port}", "another program")


def _as_file(home: Path) -> None:
    home.write_text("not a folder")


def _as_open_folder(home: Path) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)


def _with_a_broken_database(home: Path) -> None:
    home.mkdir(mode=0o700)
    for name in ("gateway.db", "gateway.sqlite", "gateway.sqlite3", "state.db", "llm-gateway.db", "keys.db"):
        (home / name).write_bytes(b"this is no database" * 100)


@pytest.mark.parametrize("spoil", [_as_file, _with_a_broken_database])
def test_unusable_state(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Root reads everything, so what is spoiled here is the thing itself and not its permissions."""
    spoil(tmp_path / "home")
    _assert_clear(_up(tmp_path, yaml.safe_dump(_good())), str(tmp_path / "home"))


def test_open_state_folder_is_closed_or_refused(tmp_path: Path) -> None:
    _as_open_folder(tmp_path / "home")
    environment = {**os.environ, "LLM_GATEWAY_HOME": str(tmp_path / "home")}
    ended = run("keys", "create", "someone", "--json", env=environment)
    assert ended.code == 2 or (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_first_key_is_not_lost_to_a_start_that_fails(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = {**_good(), "admin": {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}}
        _assert_clear(_up(tmp_path, yaml.safe_dump(config)), "cannot listen")
    gateway = Gateway(tmp_path, _good())
    try:
        gateway.environment["LLM_GATEWAY_HOME"] = str(tmp_path / "home")
        first = loads(gateway.start().out.text.splitlines()[0])["first_key"]
        assert gateway.get("/v1/me", f"Authorization: Bearer {first}").status == 200
    finally:
        gateway.kill()
