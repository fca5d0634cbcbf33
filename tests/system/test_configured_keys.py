"""Tokens of services from secret files: a gateway that comes up with them, follows them, says what it cannot use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from edge.identity.token import mint
from policies.json import JSON, Object, as_list, as_object
from tests.postgres_server import postgres
from tests.system.calls import CHAT, assert_error_event, chat, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, configuration, run, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL, Hold, Stream, always
from tests.system.wire import loads

WITHIN = 10.0


@dataclass
class Secrets:
    """A folder of secret files."""

    folder: Path

    def make(self, name: str, *arguments: str) -> Key:
        """As a person does it: `llm-gateway keys secret > FILE`."""
        made = run("keys", "secret", *arguments, env={**os.environ, "LLM_GATEWAY_HOME": "/nonexistent"})
        assert (made.code, made.err) == (0, "")
        (self.folder / name).write_text(made.out)
        return self.key(name)

    def key(self, name: str) -> Key:
        text = (self.folder / name).read_text().strip()
        return Key(text.split("_")[1], text)

    def entry(self, name: str, **more: JSON) -> Object:
        return {"name": name, "secret_file": str(self.folder / name), **more}


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return Secrets(folder)


def status(gateway: Gateway, key: Key) -> int:
    return gateway.get("/v1/me", key.bearer).status


def keys(gateway: Gateway) -> dict[str, Object]:
    listed = run("keys", "list", "--json", env={**os.environ, **gateway.environment})
    assert listed.code == 0, listed.err
    return {str(key["name"]): key for key in map(as_object, as_list(loads(b'{"k":' + listed.out.encode() + b"}")["k"]))}


def rewrite(gateway: Gateway, *entries: JSON) -> None:
    gateway.config["keys"] = list(entries)
    gateway.file.write_text(yaml.safe_dump(gateway.config))


def test_a_gateway_comes_up_with_the_tokens_of_its_services_and_makes_no_key_of_its_own(
    launch: Launch, secrets: Secrets
) -> None:
    web, job = secrets.make("web"), secrets.make("job")
    entries: list[JSON] = [secrets.entry("web"), secrets.entry("job", models=["other"], rpm=7, scopes=["inference"])]
    gateway = launch(keys=entries)
    assert gateway.post(CHAT, chat(), web.bearer).status == 200
    assert gateway.post(CHAT, chat(), job.bearer).status == 403
    found = keys(gateway)
    assert found.keys() == {"web", "job"}
    assert (found["job"]["origin"], found["job"]["rpm"], found["job"]["models"]) == ("configuration", 7, ["other"])
    assert len(gateway.err.matching(lambda line: "the configuration names it" in line, 2)) == 2
    for file in (gateway.folder / "home").iterdir():
        assert web.secret.encode() not in (file.read_bytes() if file.is_file() else b"")
    assert web.secret not in gateway.err.text + gateway.out.text


def test_a_rotated_file_and_a_dropped_entry_count_without_a_restart(
    launch: Launch, secrets: Secrets, engine: RecordingEngine
) -> None:
    old = secrets.make("web")
    gateway = launch(keys=[secrets.entry("web", overlap="0s")])
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, old) as wire:
        stream = wire.events(wire.head())
        found = [next(stream), next(stream)]
        new = secrets.make("web", "--like", str(secrets.folder / "web"))
        until(lambda: status(gateway, new) == 200, WITHIN, "the new secret is taken")
        found.extend(event for event in stream if event.data)
        assert assert_error_event(found, "no such text")["code"] == "credential_revoked"
    assert (new.id, status(gateway, old)) == (old.id, 401)
    rewrite(gateway)
    until(lambda: status(gateway, new) == 401, WITHIN, "the key is revoked")
    assert keys(gateway)["web"]["status"] == "revoked"
    assert gateway.process.poll() is None


def test_a_half_written_configuration_and_an_emptied_file_change_nothing(launch: Launch, secrets: Secrets) -> None:
    web = secrets.make("web")
    gateway = launch(keys=[secrets.entry("web")])
    gateway.file.write_text("keys: [{name")
    assert gateway.err.find(lambda line: "stay as they are" in line, WITHIN)
    assert status(gateway, web) == 200
    (secrets.folder / "web").write_text("")
    rewrite(gateway, secrets.entry("web"))
    assert gateway.err.find(lambda line: "the file is empty" in line, WITHIN)
    assert status(gateway, web) == 200
    (secrets.folder / "web").write_text(web.secret)
    assert gateway.err.find(lambda line: "followed again" in line, WITHIN)


def test_a_preset_that_is_renamed_with_its_keys_refuses_none_of_them_meanwhile(
    launch: Launch, secrets: Secrets
) -> None:
    web = secrets.make("web")
    kids: Object = {"defaults": {"temperature": 0.1}}
    gateway = launch(keys=[secrets.entry("web", preset="kids")], models={"presets": {"kids": kids}})
    seen: list[str | None] = []

    def preset() -> str | None:
        answer = gateway.post(CHAT, chat(), web.bearer)
        assert answer.status == 200, answer
        seen.append(answer.head.get("x-llm-gateway-preset"))
        return seen[-1]

    assert preset() == "kids"
    gateway.config["models"] = {"presets": {"children": kids}}
    rewrite(gateway, secrets.entry("web", preset="children"))
    until(lambda: preset() == "children", WITHIN, "the key has it under its new name")
    until(
        lambda: gateway.post(CHAT, {**chat(), "model": f"{MODEL}@kids"}, web.bearer).status == 400,
        WITHIN,
        "the old name is gone",
    )
    assert preset() == "children"
    assert {*seen} == {"kids", "children"}


def test_two_gateways_on_one_postgresql_start_with_the_same_file(launch: Launch, secrets: Secrets) -> None:
    web = secrets.make("web")
    with postgres() as server:
        entries: list[JSON] = [secrets.entry("web")]
        stores: Object = {"database": server.fresh()}
        one = launch(keys=entries, stores=stores)
        other = launch(like=one, keys=entries, stores=stores)
        assert (status(one, web), status(other, web)) == (200, 200)
        new = secrets.make("web", "--like", str(secrets.folder / "web"))
        for gateway in (one, other):
            until(lambda gateway=gateway: status(gateway, new) == 200, WITHIN, "both take the new secret")  # type: ignore[misc]
        assert (one.stop(), other.stop()) == (0, 0)
        assert "the configuration names it" not in other.err.text
        assert len([g for g in (one, other) if "is rotated" in g.err.text]) == 1


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0o644, "the file cannot be read: No such file"),
        ("", 0o644, "the file is empty: make one: llm-gateway keys secret"),
        ("hunter2hunter2hunter2hunter2hunter2", 0o644, "holds no key"),
        (mint(os.urandom).text, 0o666, "chmod o-w"),
    ],
    ids=["missing", "empty", "a password", "world-writable"],
)
def test_a_secret_that_cannot_be_used_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    file, secret = tmp_path / "gateway.yaml", tmp_path / "web"
    file.write_text(yaml.safe_dump(configuration("http://127.0.0.1:9", keys=[{"name": "web", "secret_file": "web"}])))
    if content is not None:
        secret.write_text(content)
        secret.chmod(mode)
    for command in (("up",), ("config", "check")):
        ended = run(
            *command, "--config", str(file), env={**os.environ, "LLM_GATEWAY_HOME": str(tmp_path / "home")}, within=20.0
        )
        assert ended.code == 2
        (line,) = [line for line in ended.err.splitlines() if line.strip()]
        assert words in line
        assert "gateway.yaml:" in line
        assert "keys[0].secret_file" in line
        assert not content or content not in ended.err


def test_a_name_that_is_taken_is_told_at_the_start(tmp_path: Path, launch: Launch, secrets: Secrets) -> None:
    gateway = launch()
    gateway.create_key("web")
    gateway.stop()
    secrets.make("web")
    rewrite(gateway, secrets.entry("web"))
    ended = run("up", "--config", str(gateway.file), env={**os.environ, **gateway.environment}, within=20.0)
    assert ended.code == 2
    assert "a key made elsewhere has that name" in ended.err
    assert "Traceback" not in ended.err
