"""The default policy's own tests pass on both engines, every line of it is reached, and tools find nothing to say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from policies.bundle import Bundle
from policies.embedded.rego import Policy
from policies.json import Object
from policies.rego import default_bundle

OPA = Path(sys.executable).parent / "opa"
FOLDER = Path(__file__).parent.parent.parent / "policies" / "rego"
FILES = sorted(str(path) for path in FOLDER.glob("*.rego"))
EXAMPLES = sorted(str(path) for path in (FOLDER / "examples").glob("*.rego"))


def opa(*arguments: str) -> str:
    done = subprocess.run([OPA, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def uncovered_by_opa(*files: str) -> dict[str, object]:
    report = json.loads(opa("test", "--coverage", "--format=json", *files))
    return {Path(name).name: file["not_covered"] for name, file in report["files"].items() if file.get("not_covered")}


def on_regorus(texts: dict[str, str]) -> tuple[dict[str, str | None], set[tuple[str, int]]]:
    """(tests that do not pass and what they gave, rows that nothing reached)."""
    policy = Policy(texts, {}, coverage=True)
    failed = {}
    for text in texts.values():
        (package,) = re.findall(r"^package (\S+)$", text, re.MULTILINE)
        for test in re.findall(r"^(test_\w+) if", text, re.MULTILINE):
            given = policy.value("{}", f"data.{package}.{test}")
            if given != "true":
                failed[test] = given
    ran, idle = policy.coverage()
    return failed, idle - ran


def test_it_is_what_the_bundle_holds() -> None:
    bundle = default_bundle()
    assert {*bundle.modules, *bundle.tests} == {Path(name).name for name in FILES}
    assert all(name.endswith("_test.rego") for name in bundle.tests)
    assert bundle.data["grants"] == []


def test_its_revision_is_of_what_it_says() -> None:
    data: Object = {"v": 1, "grants": []}
    assert default_bundle().revision == default_bundle().revision
    assert default_bundle(data).revision != default_bundle().revision
    assert default_bundle(data).revision == Bundle(default_bundle().modules, default_bundle().tests, data).revision


@pytest.mark.parametrize("files", [FILES, FILES + EXAMPLES], ids=["alone", "with examples"])
def test_opa_finds_nothing_to_say_and_all_tests_pass(files: list[str]) -> None:
    opa("check", "--strict", *files)
    assert opa("fmt", "--list", *files) == ""
    assert uncovered_by_opa(*files) == {}


@pytest.mark.parametrize("files", [FILES, FILES + EXAMPLES], ids=["alone", "with examples"])
def test_the_embedded_engine_agrees(files: list[str]) -> None:
    texts = {Path(name).name: Path(name).read_text(encoding="utf-8") for name in files}
    assert sum(len(re.findall(r"^test_\w+ if", text, re.MULTILINE)) for text in texts.values()) > 45
    assert on_regorus(texts) == ({}, set())


def test_every_rule_is_described() -> None:
    """`explain` names the rules that took part: whoever looks one up finds what it is for."""
    rules = set()
    for name in default_bundle().modules:
        parsed = json.loads(opa("parse", "--format=json", str(FOLDER / name)))
        rules |= {".".join(term["value"] for term in rule["head"]["ref"]) for rule in parsed["rules"]}
    annotations = json.loads(opa("inspect", "--annotations", "--format=json", str(FOLDER)))["annotations"]
    described = {
        ".".join(term["value"] for term in annotation["path"][3:])
        for annotation in annotations
        if annotation["annotations"]["description"]
    }
    assert rules - described == set()
    assert len(rules) > 30
