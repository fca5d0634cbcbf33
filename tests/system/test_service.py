"""The gateway as a user's service, under a real systemd; launchd is tested on paper (tests/edge/service)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from policies.json import Object
from tests.system.process import COMMAND, Ended, configuration, until
from tests.system.user_systemd import UserSystemd, user_systemd, why_not
from tests.system.wire import loads

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserSystemd]:
    if reason := why_not():
        pytest.skip(reason)
    with user_systemd(tmp_path_factory.mktemp("user")) as manager:
        if manager is None:
            pytest.skip("did not run: `systemd --user` does not start here (no cgroup tree of its own)")
        yield manager


class Service:
    """`llm-gateway service …` with a state folder, and a configuration whose paths are as nasty as paths get."""

    def __init__(self, systemd: UserSystemd, folder: Path) -> None:
        self.systemd = systemd
        self.folder = folder / 'a "folder" with %h $HOME and \\ in it'
        self.folder.mkdir()
        self.config = self.folder / "gateway.yaml"
        self.write(configuration("http://127.0.0.1:9"))

    def write(self, config: Object) -> None:
        self.config.write_text(yaml.safe_dump(config))

    @property
    def log(self) -> Path:
        return self.folder / "home" / "logs" / "gateway.log"

    def run(self, *arguments: str) -> Ended:
        env = {"LLM_GATEWAY_HOME": str(self.folder / "home")}
        return self.systemd.run(*COMMAND, "service", *arguments, env=env)

    def status(self) -> Object:
        return loads(self.run("status", "--json").out)

    def runs(self) -> bool:
        return self.status()["running"] is True


@pytest.fixture
def service(systemd: UserSystemd, tmp_path: Path) -> Iterator[Service]:
    made = Service(systemd, tmp_path)
    yield made
    made.run("uninstall")


def test_it_is_installed_runs_writes_its_log_and_is_taken_away(service: Service) -> None:
    assert service.run("status").code == 1
    installed = service.run("install", "--config", str(service.config))
    assert installed.code == 0, installed.err
    assert installed.out.count("lgw_") == 1  # the first key, shown to the one who installs
    status = service.status()
    assert (status["installed"], status["running"]) == (True, True)
    until(service.log.exists, 10.0, "the log is there")
    key = next(word for word in installed.out.split() if word.startswith("lgw_"))
    assert service.systemd.run("sh", "-c", f"grep -r '{key}' /run {service.systemd.home}").out == ""
    assert service.log.stat().st_mode & 0o777 == 0o600
    again = service.run("install", "--config", str(service.config), "--json")
    assert "first_key" not in loads(again.out)
    assert service.status()["pid"] != status["pid"]
    removed = service.run("uninstall", "--json")
    assert loads(removed.out)["removed"] is True
    assert service.status() == {**service.status(), "installed": False, "running": False}
    assert loads(service.run("uninstall", "--json").out)["removed"] is False


def test_it_is_started_again_when_it_dies(service: Service) -> None:
    # With cgroups of version 1 systemd is not told that the children are gone, and waits for the time to stop to pass.
    service.write(configuration("http://127.0.0.1:9", listener={"limits": {"drain_s": 0.5, "cut_s": 0.5}}))
    assert service.run("install", "--config", str(service.config)).code == 0
    before = service.status()["pid"]
    assert isinstance(before, int)
    os.kill(before, signal.SIGKILL)
    until(lambda: service.runs() and service.status()["pid"] != before, 90.0, "it runs again")


def test_state_that_cannot_be_used_is_told_before_anything_is_installed(service: Service) -> None:
    (service.folder / "home").mkdir(mode=0o700)
    (service.folder / "home" / "gateway.db").write_bytes(b"this is no database" * 100)
    failed = service.run("install", "--config", str(service.config))
    assert failed.code == 2
    assert service.status()["installed"] is False


def test_a_start_that_fails_is_told(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = configuration("http://127.0.0.1:9", listener={"bind": f"127.0.0.1:{taken.getsockname()[1]}"})
        service.write(config)
        failed = service.run("install", "--config", str(service.config))
    assert failed.code == 1
    assert "llm-gateway: systemctl --user restart failed" in failed.err
    assert service.status()["last_exit"] == 2


def test_wrong_configuration_is_not_started_again(service: Service) -> None:
    assert service.run("install", "--config", str(service.config)).code == 0
    service.config.write_text("lisseners: []\n")
    restarted = service.systemd.run("systemctl", "--user", "restart", "llm-gateway.service")
    assert restarted.code != 0
    status = service.status()
    assert (status["running"], status["last_exit"]) == (False, 2)
    assert str(status["state"]).startswith("failed")


def test_it_drains_when_it_is_stopped(service: Service) -> None:
    assert service.run("install", "--config", str(service.config)).code == 0
    assert service.systemd.run("systemctl", "--user", "stop", "llm-gateway.service").code == 0
    status = service.status()
    assert (status["running"], status["last_exit"]) == (False, 0)


def test_the_unit_is_one_that_systemd_understands(service: Service, tmp_path: Path) -> None:
    printed = service.run("install", "--config", str(service.config), "--print")
    assert printed.code == 0
    unit = tmp_path / "llm-gateway.service"
    unit.write_text(printed.out)
    verified = service.systemd.run("systemd-analyze", "--user", "verify", str(unit))
    assert (verified.code, verified.err) == (0, "")
    assert not service.status()["installed"]


def test_variables_of_the_terminal_are_not_those_of_the_service(service: Service) -> None:
    service.write({**configuration("http://127.0.0.1:9"), "stores": {"redis": "${REDIS_URL}"}})
    env = {"LLM_GATEWAY_HOME": str(service.folder / "home"), "REDIS_URL": "redis://127.0.0.1:1"}
    ended = service.systemd.run(*COMMAND, "service", "install", "--config", str(service.config), env=env)
    assert ended.code == 2
    assert "environment variable REDIS_URL is not set" in ended.err
