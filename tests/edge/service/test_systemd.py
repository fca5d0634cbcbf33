"""The unit, and what is asked of systemd; tests/system/test_service.py runs it under a real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.service.manager import Launchd, Ran, Systemd, manager_of
from edge.service.plan import ServiceError, Status
from edge.service.systemd import UNIT, read_status, render, unit_file
from tests.edge.service.plans import PLAN, Platform


def lines(unit: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in unit.splitlines() if "=" in line and not line.startswith("#"))


def test_the_unit() -> None:
    values = lines(render(PLAN))
    assert values["ExecStart"] == (
        '"/opt/venv/bin/llm-gateway" "up" "--config" "/Users/ann/gateway.yaml" '
        '"--log" "/Users/ann/Library/Application Support/llm-gateway/logs/gateway.log"'
    )
    assert values["Restart"] == "on-failure"
    assert values["RestartPreventExitStatus"] == "2"
    assert values["TimeoutStopSec"] == "47"
    assert values["StandardOutput"] == "null"


def test_what_systemd_would_read_otherwise_is_escaped() -> None:
    nasty = Path('/a "b" 50% $HOME \\x')
    text = render(replace(PLAN, program=("/opt/$x/python", "-m"), config=nasty, home=nasty))
    assert 'ExecStart="/opt/$x/python" "-m" "up" "--config" "/a \\"b\\" 50%% $$HOME \\\\x"' in text
    assert 'Environment="LLM_GATEWAY_HOME=/a \\"b\\" 50%% $HOME \\\\x"' in text
    assert 'WorkingDirectory=/a "b" 50%% $HOME \\x' in text
    with pytest.raises(ServiceError, match="control characters"):
        render(replace(PLAN, config=Path("/a\nExecStart=/bin/sh")))


def test_without_a_configuration_none_is_looked_for_elsewhere() -> None:
    values = lines(render(replace(PLAN, config=None)))
    assert "--config" not in values["ExecStart"]
    assert values["WorkingDirectory"] == str(PLAN.home)  # ./gateway.yaml is looked for there


def test_where_units_lie() -> None:
    home = Path("/home/ann")
    assert unit_file({}, home) == home / ".config/systemd/user" / UNIT
    assert unit_file({"XDG_CONFIG_HOME": "/cfg"}, home) == Path("/cfg/systemd/user") / UNIT
    assert unit_file({"XDG_CONFIG_HOME": "relative"}, home) == home / ".config/systemd/user" / UNIT


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            "MainPID=4711\nExecMainStatus=0\nLoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n",
            (True, "active (running)", 4711, None),
        ),
        (
            "MainPID=0\nExecMainStatus=2\nActiveState=failed\nSubState=failed\nResult=exit-code\n",
            (False, "failed (failed), exit-code", None, 2),
        ),
        (
            "MainPID=0\nExecMainStatus=0\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n",
            (False, "inactive (dead)", None, 0),
        ),
    ],
)
def test_status(shown: str, expected: tuple[bool, str, int | None, int | None]) -> None:
    assert read_status(shown, Path("/f"), installed=True) == Status(True, *expected, Path("/f"))


@pytest.mark.parametrize(
    "answer",
    [
        Ran(1, "", "Failed to connect to bus: No medium found\n"),
        Ran(1, "", "System has not been booted with systemd as init system (PID 1). Can't operate."),
        Ran(127, "", "systemctl is not installed"),
    ],
)
def test_where_no_systemd_answers_it_is_said_what_to_do(tmp_path: Path, answer: Ran) -> None:
    systemd = Systemd({}, tmp_path, Platform(systemctl=answer))
    with pytest.raises(ServiceError, match=r"systemd does not answer for this user .* loginctl enable-linger"):
        systemd.install(PLAN)


def test_each_platform_has_its_own(tmp_path: Path) -> None:
    assert isinstance(manager_of("darwin", {}, tmp_path), Launchd)
    assert isinstance(manager_of("linux", {}, tmp_path), Systemd)
