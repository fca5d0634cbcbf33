"""macOS' agent, by the manual pages: what is written, what is asked, what is read. Not run on a Mac."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from edge.service.launchd import LABEL, render
from edge.service.manager import Launchd, Ran
from edge.service.plan import ServiceError, Status
from tests.edge.service.plans import FINE, PLAN, Platform

RUNNING = """gui/501/io.github.llm-gateway = {
	active count = 1
	path = /Users/ann/Library/LaunchAgents/io.github.llm-gateway.plist
	type = LaunchAgent
	state = running

	program = /opt/venv/bin/llm-gateway
	runs = 1
	pid = 4711
	immediate reason = speculative
	last exit code = (never exited)
}
"""
FAILED = """gui/501/io.github.llm-gateway = {
	active count = 0
	state = spawn scheduled
	runs = 3
	last exit code = 2
}
"""


def test_the_property_list() -> None:
    document = plistlib.loads(render(PLAN))
    assert document["Label"] == LABEL
    assert document["ProgramArguments"] == [
        *("/opt/venv/bin/llm-gateway", "up", "--config", "/Users/ann/gateway.yaml"),
        *("--log", "/Users/ann/Library/Application Support/llm-gateway/logs/gateway.log"),
    ]
    assert document["EnvironmentVariables"]["LLM_GATEWAY_HOME"] == str(PLAN.home)
    assert document["EnvironmentVariables"]["PATH"].startswith("/opt/homebrew/bin")
    assert document["KeepAlive"] == {"SuccessfulExit": False}  # a drain that was asked for is no reason to start again
    assert document["ExitTimeOut"] == 47
    assert document["StandardOutPath"] == "/dev/null"
    assert document["StandardErrorPath"].endswith("/logs/errors.log")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def test_installing_replaces_one_that_is_loaded(home: Path) -> None:
    platform = Platform()
    launchd = Launchd(home, platform, uid=501)
    launchd.install(PLAN)
    assert launchd.file == home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    assert launchd.file.read_bytes() == render(PLAN)
    assert platform.asked == [
        f"launchctl bootout gui/501/{LABEL}",
        f"launchctl enable gui/501/{LABEL}",
        f"launchctl bootstrap gui/501 {launchd.file}",
    ]


def test_the_first_time_there_is_nothing_to_replace(home: Path) -> None:
    platform = Platform(bootout=Ran(3, "", "Boot-out failed: 3: No such process"))
    Launchd(home, platform, uid=501).install(PLAN)
    assert platform.asked[-1].startswith("launchctl bootstrap")


def test_over_ssh_there_is_no_screen_to_log_in_at(home: Path) -> None:
    refused = Ran(125, "", "Bootstrap failed: 125: Domain does not support specified action\n")
    with pytest.raises(ServiceError, match=r"launchctl bootstrap failed .*125.*: run it in a terminal"):
        Launchd(home, Platform(bootstrap=refused), uid=501).install(PLAN)


def test_uninstalling(home: Path) -> None:
    platform = Platform()
    launchd = Launchd(home, platform, uid=501)
    assert not launchd.uninstall()
    launchd.install(PLAN)
    assert launchd.uninstall()
    assert not launchd.file.exists()
    assert platform.asked[-1] == f"launchctl bootout gui/501/{LABEL}"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (Ran(0, RUNNING, ""), (True, "running", 4711, None)),
        (Ran(0, FAILED, ""), (False, "spawn scheduled", None, 2)),
        (Ran(113, "", "Could not find service"), (False, "not loaded", None, None)),
    ],
)
def test_status(home: Path, printed: Ran, expected: tuple[bool, str, int | None, int | None]) -> None:
    launchd = Launchd(home, Platform(print=printed), uid=501)
    status = launchd.status()
    assert status == Status(False, *expected, launchd.file)
    launchd.install(PLAN)
    assert launchd.status().installed


def test_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "Library").write_text("a file in the way")
    platform = Platform(print=FINE)
    with pytest.raises(ServiceError, match=r"cannot write .*plist"):
        Launchd(home, platform, uid=501).install(PLAN)
    assert platform.asked == []
