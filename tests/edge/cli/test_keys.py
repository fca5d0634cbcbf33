"""`llm-gateway keys`: the options scripts rely on, what people read, and exit codes."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.cli import keys
from edge.identity.configured import ConfiguredKey
from edge.identity.store.configured import ConfiguredKeys
from edge.identity.store.opening import open_keys
from edge.identity.token import parse

FULL = (
    "create ci --owner ann --group a --group b --scope inference --scope admin --model ai/* --model llama? --rpm 1"
    " --tpm 2 --tpd 3 --concurrency 4 --priority batch --expires 30d --network 10.0.0.0/8 --network fd00::/8"
    " --listener lan --device Studio --preset kids --json"
)
PRESETS = ("code", "kids")


class Cli:
    """The command line on a home of its own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys
        self.parser = argparse.ArgumentParser(prog="llm-gateway")
        keys.add_parser(self.parser.add_subparsers(dest="command"))

    def __call__(self, line: str, *more: str, code: int = 0) -> str:
        """Run `keys LINE`; returns what it printed (errors, if it should fail with `code`)."""
        try:
            args = self.parser.parse_args(["keys", *line.split(), *more])
            found = keys.run(args, self.home, lambda: None, lambda: PRESETS)
        except SystemExit as ended:  # argparse's way to refuse
            found = int(str(ended.code))
        out, err = self.capsys.readouterr()
        assert found == code, err
        return err if code else out

    def json(self, line: str, *more: str) -> dict[str, object]:
        answer = json.loads(self(f"{line} --json", *more))
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(tmp_path / "home", capsys)


def test_create_takes_every_option_and_prints_the_key(cli: Cli) -> None:
    made = json.loads(cli(FULL))
    token = parse(made["key"])
    assert token is not None
    assert token.id == made["id"]
    del made["key"], made["id"], made["created_at"], made["expires_at"], made["secrets"]
    assert made == {
        "name": "ci",
        "owner": "ann",
        "device": "Studio",
        "status": "active",
        "origin": "hand",
        "groups": ["a", "b"],
        "scopes": ["inference", "admin"],
        "models": ["ai/*", "llama?"],
        "networks": ["10.0.0.0/8", "fd00::/8"],
        "listeners": ["lan"],
        "rpm": 1,
        "tpm": 2,
        "tpd": 3,
        "concurrency": 4,
        "priority": "batch",
        "preset": "kids",
        "revoked_at": None,
    }


def test_defaults_are_modest(cli: Cli) -> None:
    made = cli.json("create ci")
    assert (made["owner"], made["scopes"], made["models"]) == ("ci", ["inference", "models:read"], ["*"])
    assert (made["expires_at"], made["rpm"], made["networks"]) == (None, None, [])


def test_people_see_the_key_once_with_the_next_step(cli: Cli) -> None:
    shown = cli("create", "Ann's laptop")
    text = shown.split("\n\n")[1].strip()
    assert parse(text) is not None
    assert f"curl -H 'Authorization: Bearer {text}' http://127.0.0.1:8080/v1/models" in shown
    assert text not in cli("list") + cli("show", "Ann's laptop") + cli("list --json")


def test_lists_are_aligned_tables_or_json(cli: Cli) -> None:
    assert "keys create NAME" in cli("list")
    assert json.loads(cli("list --json")) == []
    ids = [cli.json(f"create {name}")["id"] for name in ("a", "a-much-longer-name")]
    heading, *rows = cli("list").splitlines()
    assert [row.split()[0] for row in rows] == ids
    column = heading.index("STATUS")
    assert {row[column : column + 6] for row in rows} == {"active"}
    assert [key["id"] for key in json.loads(cli("list --json"))] == ids


def test_show_by_name_or_id(cli: Cli) -> None:
    made = cli.json("create ci --expires 2h")
    assert cli.json("show ci") == cli.json(f"show {made['id']}")
    shown = cli("show ci")
    assert "expires at" in shown
    assert "anywhere" in shown


def test_update_replaces_lists_and_clears(cli: Cli) -> None:
    cli(FULL)
    assert cli.json("update ci --model qwen* --scope inference")["models"] == ["qwen*"]
    changed = cli.json(
        "update ci --name ci2 --owner bob --group none --network any --listener any --rpm none --tpm 9"
        " --priority none --expires never --device none --preset none"
    )
    assert (changed["name"], changed["owner"], changed["expires_at"]) == ("ci2", "bob", None)
    assert (changed["device"], changed["preset"]) == (None, None)
    assert (changed["groups"], changed["networks"], changed["listeners"]) == ([], [], [])
    assert (changed["rpm"], changed["tpm"], changed["tpd"], changed["priority"]) == (None, 9, 3, None)
    assert (changed["scopes"], changed["models"]) == (["inference"], ["qwen*"])


def test_a_preset_that_is_not_there_is_wrong_usage(cli: Cli) -> None:
    assert "./gateway.yaml) has no preset 'kid', only: code, kids" in cli("create ci --preset kid", code=2)
    assert json.loads(cli("list --json")) == []
    assert cli.json("create ci --preset code")["preset"] == "code"
    assert "no preset" in cli("update ci --preset other", code=2)
    assert cli.json("show ci")["preset"] == "code"


def test_update_can_bring_an_expired_key_back(cli: Cli) -> None:
    cli("create ci --expires 1s")
    deadline = time.monotonic() + 10
    while cli.json("show ci")["status"] != "expired":
        assert time.monotonic() < deadline
    assert "extend it first" in cli("rotate ci", code=1)
    assert cli.json("update ci --expires 1h")["status"] == "active"


def test_rotate_keeps_the_id_and_overlaps(cli: Cli) -> None:
    made = cli.json("create ci")
    rotated = cli.json("rotate ci --overlap 1h")
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    assert isinstance(rotated["secrets"], list)
    assert [secret["expires_at"] is None for secret in rotated["secrets"]] == [False, True]
    assert "works" not in cli("rotate ci --overlap 0")
    assert "for 1d" in cli("rotate ci")


def test_revoke_and_delete(cli: Cli) -> None:
    made = cli.json("create ci")
    assert "within a second" in cli("revoke ci")
    assert cli.json("revoke ci")["status"] == "revoked"
    assert "final" in cli("update ci --rpm 1", code=1)
    assert cli.json("delete ci") == {"id": made["id"], "deleted": True}
    assert "no key" in cli("show ci", code=1)
    cli("create ci")
    assert "deleted" in cli("delete ci")


def test_check_is_offline_and_echoes_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cli.json("create ci")
    text = str(made["key"])
    cli.home = Path("/nonexistent")
    assert str(made["id"]) in cli("check", text)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text + "\n"))
    assert cli.json("check -") == {"well_formed": True, "id": made["id"]}
    args = cli.parser.parse_args(["keys", "check", text[:-1]])
    assert keys.run(args, cli.home, lambda: None, lambda: PRESETS) == 1
    assert text[:20] not in "".join(cli.capsys.readouterr())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "ACTION"),
        ("create", "NAME"),
        ("create " + "x" * 65, "printable"),
        ("create a --scope root", "known scopes are: inference"),
        ("create a --rpm 0", "at least 1"),
        ("create a --rpm many", "at least 1"),
        ("create a --expires 30", "30d"),
        ("create a --expires 0s", "born expired"),
        ("create a --network 10.0.0.1/8", "write 10.0.0.0/8 or 10.0.0.1"),
        ("create a --model a,b;c", "model"),
        ("create a --group none --group x", "stands alone"),
        ("update a", "nothing to change"),
        ("rotate a --overlap soon", "30d"),
        ("frobnicate", "invalid choice"),
    ],
)
def test_wrong_usage_says_what_to_write_instead(cli: Cli, line: str, why: str) -> None:
    assert why in cli(line, code=2)


def test_a_name_cannot_disturb_the_terminal(cli: Cli) -> None:
    assert "\x1b" not in cli("create", "\x1b[31mred", code=2)


def test_a_home_that_cannot_be_used_is_one_line(cli: Cli, tmp_path: Path) -> None:
    cli.home = tmp_path / "file"
    cli.home.touch()
    complaint = cli("list", code=2)
    assert complaint.count("\n") == 1
    assert "LLM_GATEWAY_HOME" in complaint


def test_the_database_url_is_obeyed(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    args = cli.parser.parse_args(["keys", "create", "ci"])
    assert keys.run(args, cli.home, lambda: url, lambda: PRESETS) == 0
    assert [key.grant.name for key in open_keys(cli.home, url).store.list()] == ["ci"]
    assert not (cli.home / "gateway.db").exists()


def test_help_and_usage_errors_do_not_pay_for_the_database() -> None:
    code = "import sys, edge.cli.keys; sys.exit('sqlalchemy' in sys.modules or 'jwt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_secret_for_a_file_is_made_offline_and_keeps_an_id_on_request(cli: Cli, tmp_path: Path) -> None:
    cli.home = Path("/nonexistent")
    first = parse(cli("secret").strip())
    assert first is not None
    file = tmp_path / "web"
    file.write_text(first.text + "\n")
    second = parse(str(cli.json("secret", "--like", str(file))["key"]))
    assert second is not None
    assert (second.id, second.secret == first.secret) == (first.id, False)
    file.write_text("no key")
    assert "holds no key" in cli("secret", "--like", str(file), code=2)


def test_a_key_of_the_configuration_is_changed_there(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "web"
    file.write_text(cli("secret"))
    opened = open_keys(cli.home)
    ConfiguredKeys(opened.database, opened.peppers, time.time).follow([ConfiguredKey(name="web", secret_file=file)])
    opened.store.close()
    for line in ("update web --rpm 1", "rotate web", "delete web", "create web"):
        assert "configuration" in cli(line, code=1)
    assert cli.json("show web")["origin"] == "configuration"
    assert cli.json("revoke web")["status"] == "revoked"
