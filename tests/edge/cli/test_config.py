"""`llm-gateway config`: exit codes, both forms of output, and no secret in either."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import yaml

from edge.cli import config


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLM_GATEWAY_CONFIG", raising=False)


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    config.add_parser(parser.add_subparsers())
    args = parser.parse_args(["config", *words])
    code: int = args.run(args)
    return code


GOOD = "engines: {list: [{name: a, kind: vllm, url: 'http://h', api_key: '${K}'}]}\nstores: {database: '${D}'}\n"


def test_check_says_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 0
    assert "defaults" in capsys.readouterr().out
    (tmp_path / "gateway.yaml").write_text("queue: {limit: 3}\n")
    assert run("check") == 0
    assert capsys.readouterr().out == "gateway.yaml: ok\n"
    assert run("check", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "file": "gateway.yaml", "problems": []}


def test_check_tells_every_problem_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text("queue: {limt: 3}\nmodls: {}\n")
    assert run("check", "--config", "x.yaml") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(" is not")[0] for line in err.splitlines()] == [
        "x.yaml:1:9: queue.limt:",
        "x.yaml:2:1: modls:",
    ]
    assert run("check", "--json", "--config", "x.yaml") == 2
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    first = report["problems"][0]
    assert (first["file"], first["line"], first["column"], first["path"]) == ("x.yaml", 1, 9, "queue.limt")
    assert first["instead"] == "limit"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_show_masks_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    monkeypatch.setenv("K", "hunter2")
    monkeypatch.setenv("D", "postgresql://u:hunter@2@h/d")
    (tmp_path / "gateway.yaml").write_text(GOOD)
    assert run("show", *form) == 0
    out = capsys.readouterr().out
    assert "hunter" not in out
    document = json.loads(out)["settings"] if form else yaml.safe_load(out)
    assert document["engines"]["list"][0]["api_key"] == "***"
    assert document["stores"]["database"] == "postgresql://u:***@h/d"
    assert document["queue"]["wait"] == "30s"
    assert "gateway.yaml" in out


def test_show_refuses_what_check_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text("nope: 1\n")
    assert run("show") == 2
    assert "nope" in capsys.readouterr().err


def test_what_show_prints_can_be_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show") == 0
    (tmp_path / "gateway.yaml").write_text(capsys.readouterr().out)
    assert run("check") == 0


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False
