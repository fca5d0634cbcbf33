"""`llm-gateway usage`: what people read, what scripts get, and exit codes."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import insert

from edge.cli import usage
from edge.cli.main import main
from edge.identity.grant import Grant
from edge.identity.store.opening import open_keys
from edge.ledger.rows import DAY, hold_row, settle_row
from edge.store.schema import LEDGER
from tests.edge.ledger.fixtures import NOW, a_hold, settled


class Cli:
    """The command on a home of its own, at the instant NOW."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys
        self.parser = argparse.ArgumentParser(prog="llm-gateway")
        usage.add_parser(self.parser.add_subparsers(dest="command"))

    def __call__(self, line: str = "", code: int = 0) -> str:
        try:
            found = usage.show(self.parser.parse_args(["usage", *line.split()]), self.home, None, NOW)
        except SystemExit as ended:  # argparse's way to refuse
            found = int(str(ended.code))
        out, err = self.capsys.readouterr()
        assert found == code, err
        return err if code else out


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(tmp_path / "home", capsys)


@pytest.fixture
def filled(cli: Cli) -> tuple[Cli, str]:
    """Two requests of a key that exists, one of a key that is gone; and the first one's id."""
    keys = open_keys(cli.home)
    record, _ = keys.store.create(Grant("laptop"))
    asked = [
        (a_hold(key=record.id, owner="ann"), settled(output=1500)),
        (a_hold(key=record.id, owner="ann"), settled(output=5, reason="engine_broke")),
        (a_hold(key="gone", owner="=SUM(A1)", at=NOW - 5 * DAY), settled(output=7)),
    ]
    rows = [settle_row(hold_row(hold, "me"), end)._asdict() for hold, end in asked]
    with keys.database.writing() as connection:
        connection.execute(insert(LEDGER), rows)
    keys.store.close()
    return cli, record.id


def test_the_table_names_keys_aligns_numbers_and_sums_up(filled: tuple[Cli, str]) -> None:
    cli, key = filled
    lines = cli().splitlines()
    assert lines[0].split() == ["KEY", "REQUESTS", "INPUT", "OUTPUT", "TOTAL", "GPU", "S", "ERRORS"]
    assert sorted(line.split()[:-6] for line in lines[1:3]) == [["gone"], ["laptop", f"({key})"]]
    assert lines[3].split() == ["all", "3", "30", "1,512", "1,542", "4.5", "1"]
    assert len({len(line) for line in lines}) == 1


def test_json_has_the_id_and_the_name(filled: tuple[Cli, str]) -> None:
    cli, key = filled
    assert json.loads(cli("--by key --since 2d --json")) == [
        {
            "key": key,
            "key_name": "laptop",
            "requests": 2,
            "input_tokens": 20,
            "output_tokens": 1505,
            "total_tokens": 1525,
            "gpu_seconds": 3.0,
            "errors": 1,
        }
    ]
    assert [line["key_name"] for line in json.loads(cli("--by day,key --until 2d --json"))] == [None]


def test_csv_goes_to_a_file_and_runs_nothing_in_a_spreadsheet(filled: tuple[Cli, str], tmp_path: Path) -> None:
    cli, _ = filled
    assert cli(f"--by owner --csv {tmp_path / 'u.csv'}") == ""
    rows = list(csv.reader((tmp_path / "u.csv").read_text().splitlines()))
    assert rows[0] == ["owner", "requests", "input_tokens", "output_tokens", "total_tokens", "gpu_seconds", "errors"]
    assert [row[0] for row in rows[1:]] == ["'=SUM(A1)", "ann"]
    assert cli("--by owner --csv -").splitlines()[0].startswith("owner,requests,")


def test_nothing_used_is_said_and_is_an_empty_list(cli: Cli) -> None:
    assert "Nothing was used" in cli()
    assert json.loads(cli("--json")) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--by colour", "write one or more of day, key, owner, model, engine"),
        ("--by key,", "write one or more of"),
        ("--since yesterday", "write a day as 2026-01-31"),
        ("--since 1d --until 7d", "--since must not be after --until"),
        ("--json --csv -", "not allowed with"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_to_write(cli: Cli, line: str, told: str) -> None:
    assert told in cli(line, code=2)


def test_a_file_that_cannot_be_written_is_exit_1(cli: Cli, tmp_path: Path) -> None:
    assert "choose another file" in cli(f"--csv {tmp_path / 'no' / 'where.csv'}", code=1)


def test_it_is_part_of_the_whole_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_GATEWAY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(["usage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_estimates_by_model_for_people_and_scripts(cli: Cli) -> None:
    assert "--estimates --since 90d" in cli("--estimates")
    assert json.loads(cli("--estimates --json")) == []
    database = open_keys(cli.home).database
    rows = [hold_row(a_hold(), "me"), settle_row(hold_row(a_hold(), "me"), settled()._replace(input=8))]
    with database.writing() as connection:
        connection.execute(insert(LEDGER), [row._asdict() for row in rows])
    database.close()
    lines = cli("--estimates --since 2d").splitlines()
    assert [line.split() for line in lines] == [
        ["MODEL", "REQUESTS", "MEAN", "%", "MEAN", "ABS", "%", "P95", "ABS", "%"],
        ["ai/llama", "1", "+25.0", "25.0", "25.0"],
    ]
    assert len({len(line) for line in lines}) == 1
    assert json.loads(cli("--estimates --json")) == [
        {
            "model": "ai/llama",
            "requests": 1,
            "mean_error_percent": 25.0,
            "mean_absolute_error_percent": 25.0,
            "p95_absolute_error_percent": 25.0,
        }
    ]


def test_estimates_are_by_model_only_and_have_no_csv(cli: Cli) -> None:
    assert "not allowed with" in cli("--estimates --by day", 2)
    assert "--json" in cli("--estimates --csv -", 2)
