"""The rules: Prometheus' own tool accepts them, each alert has its cases, each leads to a page that says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from policies.json import Object, as_list, as_object, as_str
from policies.reasons import CAUSES
from tests.observability.boards.files import CASES, ROOT, RULES, alerts, records
from tests.test_docs import anchors

NAMES = sorted({as_str(alert["alert"]) for alert in alerts()})


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    assert program is not None, "no promtool: requirements/system.sh installs it"
    done = subprocess.run((program, *arguments), capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_them() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES))


def test_each_alert_fires_when_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def cases() -> list[Object]:
    return [as_object(case) for case in as_list(as_object(yaml.safe_load(CASES.read_text(encoding="utf-8")))["tests"])]


def fired() -> Iterator[dict[str, str]]:
    """The labels of every alert that fires in a case."""
    for case in cases():
        for question in map(as_object, as_list(case["promql_expr_test"])):
            for sample in map(as_object, as_list(question["exp_samples"])):
                text = as_str(sample["labels"])
                if text.startswith("ALERTS{"):
                    yield dict(re.findall(r'(\w+)="([^"]*)"', text))


def test_each_alert_has_a_case_in_which_it_fires() -> None:
    levels = {(as_str(each["alert"]), as_str(as_object(each["labels"]).get("window"))) for each in alerts()}
    assert {(each["alertname"], each.get("window", "")) for each in fired()} == levels


def test_each_case_asks_for_all_alerts_and_one_asks_when_nothing_is_wrong() -> None:
    quiet = cases()[0]
    assert quiet["name"] == "a day on which all is well"
    for case in cases():
        asked = {as_str(as_object(each)["expr"]) for each in as_list(case["promql_expr_test"])}
        assert 'ALERTS{alertstate="firing"}' in asked, case["name"]


def test_the_quiet_day_has_every_series_that_alerts_look_at() -> None:
    """Else an alert would be silent there for want of data."""
    given = " ".join(as_str(as_object(each)["series"]) for each in as_list(cases()[0]["input_series"]))
    text = " ".join(as_str(rule["expr"]) for rule in alerts()) + " ".join(each.text for each in records())
    wanted = set(re.findall(r"\b(?:llm_gateway|gen_ai|process|http)_\w+(?=[\s{)\[])", text)) - labels_in(text)
    assert {name for name in wanted if name not in given} == set()


def labels_in(text: str) -> set[str]:
    grouped = {name.strip() for group in re.findall(r"(?:by|on) \(([^)]*)\)", text) for name in group.split(",")}
    return grouped | set(re.findall(r"(\w+)\s*(?:=~|!=|=)", text))


@pytest.mark.parametrize("name", NAMES)
def test_what_an_alert_says_is_there_to_be_said(name: str) -> None:
    shown = [set(each) for each in fired() if each["alertname"] == name]
    for alert in (each for each in alerts() if each["alert"] == name):
        summary = as_str(as_object(alert["annotations"])["summary"])
        used = set(re.findall(r"\$labels\.(\w+)", summary))
        assert all(used <= labels for labels in shown), summary
        assert as_object(alert["labels"])["severity"] in {"critical", "warning", "info"}


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_leads_to_a_page_that_exists(name: str) -> None:
    for alert in (each for each in alerts() if each["alert"] == name):
        file, _, anchor = as_str(as_object(alert["annotations"])["runbook_url"]).partition("#")
        assert file == "docs/operating.md"
        assert anchor in anchors(ROOT / file)


def test_failures_are_the_reasons_that_are_not_the_callers_fault() -> None:
    failed = next(each.text for each in records() if each.where == "llm_gateway:failed:rate5m")
    pattern = re.search(r'llm_gateway_reason=~"([^"]+)"', failed)
    assert pattern is not None
    matched = {reason for reason in CAUSES if re.fullmatch(pattern[1], reason.value)}
    assert matched == {reason for reason, cause in CAUSES.items() if cause.status >= 500}
