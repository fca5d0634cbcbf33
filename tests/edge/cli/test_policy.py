"""`llm-gateway policy`: what scripts rely on, what people read, exit codes; with the real workshop and a real log."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.cli.policy.parser import add_parser
from tests.edge.policy.workbench import policy, record, write

DENY = """package gateway.authz

deny contains {"code": "too_long", "message": "At most 1000 tokens.", "public": true} if input.request.max_tokens > 1000
"""
LISTED = policy("a").modules["access.rego"]


class Cli:
    """The command line on a home of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.capsys = capsys

    def __call__(self, line: str, *more: str, code: int = 0) -> str:
        """Run `policy LINE`; returns what it printed (errors, if it should fail with 2, or is refused)."""
        try:
            found = main(["policy", *line.split(), *more])
        except SystemExit as ended:  # argparse's way to refuse
            found = int(str(ended.code))
        out, err = self.capsys.readouterr()
        assert found == code, out + err
        return err if code == 2 or (code and not out) else out + err

    def json(self, line: str, *more: str, code: int = 0) -> dict[str, object]:
        assert self.capsys.readouterr() == ("", "")
        assert main(["policy", *line.split(), *more, "--json"]) == code
        answer = json.loads(self.capsys.readouterr().out)
        assert isinstance(answer, dict)
        return answer

    def log(self, *models: str) -> None:
        """Requests that the policy `listed` (model `a` only) has decided."""
        write(self.home / "decisions", *(record(n, model, allow=model == "a") for n, model in enumerate(models)))


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_GATEWAY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LLM_GATEWAY_CONFIG", raising=False)
    (tmp_path / "home").mkdir(mode=0o700)
    return Cli(tmp_path, capsys)


def listed(folder: Path, *models: str) -> str:
    """A small policy that allows `models`, as a folder."""
    folder.mkdir()
    (folder / "access.rego").write_text(LISTED)
    (folder / "data.json").write_text(json.dumps({"models": models}))
    return str(folder)


def test_a_new_policy_is_checked_tested_and_applied_as_it_comes(cli: Cli) -> None:
    made = cli.json("init policy")
    assert {Path(str(name)).name for name in made["files"]} >= {"access.rego", "data.json", "README.md"}  # type: ignore[attr-defined]
    checked = cli.json("check policy")
    assert (checked["ok"], checked["problems"], checked["revision"]) == (True, [], made["revision"])
    assert "answers to equal questions are kept" in cli("check policy")
    tested = cli.json("test policy")
    assert (tested["ok"], tested["coverage"]) == (True, 1.0)
    assert "100% of the lines covered" in cli("test policy -v")
    shown = cli("apply policy --author ann --note", "from a folder")
    assert "no recorded decisions to compare with" in shown
    assert "is in force (change 1)" in shown
    status = cli.json("status")
    assert (status["origin"], status["revision"]) == ("applied", made["revision"])
    assert "in force already" in cli("apply policy --note again")


def test_a_policy_that_cannot_be_read_is_told_with_its_place(cli: Cli) -> None:
    cli("init policy")
    Path("policy/access.rego").write_text("package gateway.authz\n\nallow if {\n")
    assert "error: access.rego:" in cli("check policy", code=1)
    assert cli.json("check policy", code=1)["ok"] is False
    refused = cli("apply policy --note x", code=1)
    assert "does not pass its check: access.rego:" in refused
    assert "see `policy check`" in refused


def test_a_test_that_fails_is_named_and_refuses_the_policy(cli: Cli) -> None:
    cli("init policy")
    Path("policy/mine_test.rego").write_text("package mine_test\n\ntest_never if false\n")
    assert "test_never" in cli("test policy", code=1)
    assert "does not pass its tests: mine_test.rego:" in cli("apply policy --note x", code=1)


def test_the_whole_way_of_a_change(cli: Cli) -> None:
    cli.log("a", "b", "b")
    tight, wide = listed(cli.folder / "tight", "a"), listed(cli.folder / "wider", "a", "b")
    cli(f"apply {tight} --author ann --note", "only a")
    assert "3 decisions compared: 3 the same" in cli("replay active")
    cli(f"draft save wide {wide}")
    assert "wide" in cli("draft list")
    replayed = cli("replay wide", code=1)
    assert "deny->allow  not_listed: 2" in replayed
    assert "--confirm-new-access" in replayed
    masked = cli.json("replay wide --mask", code=1)
    assert "ann" not in json.dumps(masked)
    refused = cli("apply wide --note why", code=1)
    assert "(2): look at them" in refused
    assert "/models: a -> a, b" in refused
    applied = cli.json("apply wide --author bob --confirm-new-access --note why")
    assert (applied["author"], applied["changed"], applied["action"]) == ("bob", True, "apply")
    history = cli("history").splitlines()
    assert [line.split()[0] for line in history] == ["CHANGE", "2", "1"]
    assert "only a" in history[2]
    back = cli("rollback --note oops")
    assert "rollback" in cli("history")
    assert "is in force (change 3)" in back


def test_explain_and_decisions(cli: Cli) -> None:
    cli.log("a", "b", "a")
    cli(f"apply {listed(cli.folder / 'tight', 'a')} --note x")
    explained = cli("explain req-1")
    assert "verdict   denied" in explained
    assert "not_listed" in explained
    assert cli.json("explain req-1")["allow"] is False
    assert "no decision of that request" in cli("explain nix", code=2)
    table = cli("decisions").splitlines()
    assert [line.split()[2] for line in table[1:]] == ["req-2", "req-1", "req-0"]
    assert [line.split()[2] for line in cli("decisions --denied").splitlines()[1:]] == ["req-1"]
    assert len(cli("decisions --model ai/a:latest --caller ann").splitlines()) == 3
    assert "No such decision" in cli("decisions --caller eve")
    (event,) = [json.loads(line) for line in cli("decisions --denied --export opa").splitlines()]
    assert (event["path"], event["decision_id"]) == ("gateway/authz/decision", "req-1")


def test_a_callers_text_does_not_reach_the_terminal_as_it_is(cli: Cli) -> None:
    write(cli.home / "decisions", record(1, "\x1b[2J\r\nreq-9 allow", allow=False))
    for line in ("decisions", "explain req-1", "replay default"):
        main(["policy", *line.split()])
        out, _ = cli.capsys.readouterr()
        assert "\x1b" not in out
        assert "\nreq-9" not in out


def test_one_question_from_a_file_or_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = listed(cli.folder / "tight", "a")
    Path("question.json").write_text('{"model": {"resolved": "a"}}')
    assert json.loads(cli(f"eval {folder} --input question.json"))["allow"] is True
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"model": {"resolved": "b"}}')))
    assert json.loads(cli(f"eval {folder} --input -"))["allow"] is False
    Path("bad.json").write_text('{"model": 1, "model": 2}')
    Path("torn.json").write_text('{"model":\n 1,}')
    for name, words in (
        ("bad.json", "bad.json is not one strict JSON object: A key is repeated"),
        ("torn.json", "torn.json:2:4 is not JSON: "),
        ("gone.json", "No such file"),
    ):
        assert words in cli(f"eval {folder} --input {name}", code=2)


def test_shadow_starts_shows_and_stops(cli: Cli) -> None:
    assert "No policy runs as a shadow" in cli("shadow status")
    assert "unheard" in cli("shadow start default --sample 0.5")
    assert cli.json("shadow status")["shadow"]["sample"] == 0.5  # type: ignore[index]
    assert "on 50% of the requests" in cli("shadow stop")
    assert cli.json("shadow status")["shadow"] is None


def test_drafts_are_kept_shown_and_forgotten(cli: Cli) -> None:
    assert "no drafts" in cli("draft list")
    cli("draft save mine default --author ann")
    assert "package gateway.authz" in cli("draft show mine")
    assert "access.rego" in cli.json("draft show mine")["modules"]  # type: ignore[operator]
    assert "is forgotten" in cli("draft delete mine")
    assert "no such draft" in cli("draft delete mine", code=2)


def test_a_result_that_the_gateway_would_refuse_is_told(cli: Cli) -> None:
    folder = cli.folder / "odd"
    folder.mkdir()
    Path("question.json").write_text("{}")
    for text, said in (
        ('{"allow": true, "obligations": {lower("DANCE"): 5}}', "(policy_obligation): unknown obligation dance"),
        ('{"allow": "yes"}', "(policy_failed): `allow` is not true or false"),
    ):
        (folder / "access.rego").write_text(f"package gateway.authz\n\ndecision := {text}\n")
        assert said in cli(f"eval {folder} --input question.json", code=1)


def test_what_does_not_pass_its_check_is_not_bundled(cli: Cli) -> None:
    folder = cli.folder / "broken"
    folder.mkdir()
    (folder / "access.rego").write_text("package gateway.authz\n\nx := := 1\n")
    assert "access.rego:3" in cli(f"bundle {folder} --output policy.tar.gz", code=1)
    assert not Path("policy.tar.gz").exists()


def test_status_tells_what_is_recorded(cli: Cli) -> None:
    assert "decisions" not in cli("status")
    cli.log("a", "b", "a")
    assert "decisions  3 recorded since " in cli("status")


def test_diff_and_bundle(cli: Cli) -> None:
    assert "no difference" in cli("diff active default")
    cli("init policy")
    Path("policy/long.rego").write_text(DENY)
    assert "+ module long.rego" in cli("diff active policy")
    cli("bundle policy --output policy.tar.gz")
    with tarfile.open("policy.tar.gz") as archive:
        assert "/gateway/long.rego" in archive.getnames()
    assert "cannot write" in cli("bundle policy --output no/such/folder.tar.gz", code=2)


def test_a_folder_in_the_configuration_cannot_be_applied_over(cli: Cli) -> None:
    cli("init policy")
    Path("gateway.yaml").write_text(f"policy: {{dir: {cli.folder / 'policy'}}}\n")
    assert "from the folder policy.dir" in cli("status")
    for line in ("apply default --note x", "rollback"):
        assert "policy.dir in the configuration" in cli(line, code=1)
    assert cli.json("status")["problems"] == []


def test_a_folder_in_the_configuration_that_cannot_be_in_force_is_told(cli: Cli) -> None:
    cli("init policy")
    Path("gateway.yaml").write_text(f"policy: {{dir: {cli.folder / 'policy'}}}\n")
    (cli.folder / "policy" / "typo.rego").write_text("package gateway.authz\n\ndeny contains\n")
    assert "NOT taken over: typo.rego:" in cli("status")
    assert "typo.rego:" in str(cli.json("status")["problems"])
    Path("gateway.yaml").write_text(f"policy: {{dir: {cli.folder / 'gone'}}}\n")
    assert f"policy.dir: cannot use {cli.folder / 'gone'}" in cli("status", code=2)


def test_grants_of_the_configuration_are_part_of_what_runs(cli: Cli) -> None:
    Path("gateway.yaml").write_text("policy: {grants: [{id: dev, groups: [dev], models: [qwen*]}]}\n")
    status = cli.json("status")
    assert status["revision"] != status["source_revision"]
    assert "the configuration adds data" in cli("status")


def test_a_file_in_the_place_of_a_folder_is_told(cli: Cli) -> None:
    Path("one.rego").touch()
    assert "give the folder" in cli("check ./one.rego", code=2)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "apply default",
        "apply default --note=",
        "check nix",
        "replay default --limit 0",
        "replay default --since soon",
        "shadow start default --sample 2",
        "decisions --denied --allowed",
        "init .",
        "status --config nowhere.yaml",
    ],
)
def test_wrong_usage_is_2_and_says_what_to_write(cli: Cli, line: str) -> None:
    Path("in-the-way").touch()
    assert cli(line, code=2).strip()


def test_every_help_teaches_with_an_example() -> None:
    parser = argparse.ArgumentParser(prog="llm-gateway")
    add_parser(parser.add_subparsers())
    policy_parser = _children(parser)["policy"]
    leaves = [policy_parser]
    for name, child in _children(policy_parser).items():
        leaves += [*(_children(child).values() if name in ("shadow", "draft") else [child])]
    assert len(leaves) == 21
    for leaf in leaves[1:]:
        text = leaf.format_help()
        assert "example:\n  llm-gateway policy " in text
        assert "--json" in text


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def process(cli: Cli, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge", "policy", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_of_two_processes_that_apply_at_once_one_wins(cli: Cli) -> None:
    folders = [listed(cli.folder / name, name) for name in ("a", "b")]
    both = [process(cli, "apply", folder, "--note", "race", "--json") for folder in folders]
    ended = [(*racer.communicate(timeout=60), racer.returncode) for racer in both]
    won = [json.loads(out) for out, _, code in ended if code == 0]
    history = json.loads(cli("history --json"))
    # Both may win, one after the other; then the second has seen the first and says so.
    assert [entry["revision"] for entry in history] == [
        entry["revision"] for entry in sorted(won, key=lambda e: -e["seq"])
    ]
    for _, err, code in ended:
        assert code == 0 or b"another policy was applied meanwhile" in err
    assert won


def test_progress_is_for_terminals_only(cli: Cli) -> None:
    cli.log(*["a"] * 20)
    out, err = process(cli, "replay", listed(cli.folder / "tight", "a")).communicate(timeout=60)
    assert out.startswith(b"20 decisions compared")
    assert err == b""
