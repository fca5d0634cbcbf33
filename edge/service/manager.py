"""Files and commands of systemd and launchd behind one face."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from edge.service import launchd, systemd
from edge.service.plan import Plan, ServiceError, Status

_PATIENCE: Final = 180.0


@dataclass(frozen=True, slots=True)
class Ran:
    """A command's end; `code` 127: there is no such command."""

    code: int
    out: str
    err: str


Run: TypeAlias = Callable[[Sequence[str]], Ran]


def run(command: Sequence[str]) -> Ran:
    """Run one of the platform's own commands to its end."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603 - constant
    except FileNotFoundError:
        return Ran(127, "", f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Ran(1, "", f"no answer in {_PATIENCE:g} seconds")
    return Ran(done.returncode, done.stdout, done.stderr)


class Manager(Protocol):
    """Raises ServiceError where the platform does not do what it is asked."""

    @property
    def file(self) -> Path:
        """What is written for the platform."""

    def render(self, plan: Plan) -> bytes: ...

    def install(self, plan: Plan) -> None:
        """Write it, and run it from now on; one that runs is started anew."""

    def uninstall(self) -> bool:
        """Stop it and take it away; False if there was none."""

    def status(self) -> Status: ...


class Systemd:
    """`systemctl --user`."""

    def __init__(self, environ: Mapping[str, str], user_home: Path, run: Run = run) -> None:
        self.file = systemd.unit_file(environ, user_home)
        self._run = run

    def render(self, plan: Plan) -> bytes:
        """See Manager."""
        return systemd.render(plan).encode()

    def install(self, plan: Plan) -> None:
        """See Manager."""
        _write(self.file, self.render(plan))
        self._systemctl("daemon-reload")
        self._systemctl("enable", systemd.UNIT)
        self._systemctl("restart", systemd.UNIT)

    def uninstall(self) -> bool:
        """See Manager."""
        if not self.file.exists():
            return False
        self._systemctl("disable", "--now", systemd.UNIT)
        self.file.unlink()
        self._systemctl("daemon-reload")
        return True

    def status(self) -> Status:
        """See Manager."""
        shown = self._systemctl("show", systemd.UNIT, "--property=" + ",".join(systemd.PROPERTIES))
        return systemd.read_status(shown.out, self.file, installed=self.file.exists())

    def _systemctl(self, *arguments: str) -> Ran:
        done = self._run(("systemctl", "--user", *arguments))
        if done.code == 0:
            return done
        if "bus" in done.err or "not been booted" in done.err or done.code == 127:  # noqa: PLR2004 - see Ran
            raise ServiceError(
                f"systemd does not answer for this user ({_line(done.err)})",
                "log in as the user it is to run for (not by su), or: sudo loginctl enable-linger $USER",
            )
        raise ServiceError(
            f"systemctl --user {arguments[0]} failed ({_line(done.err)})",
            "see: llm-gateway service status; journalctl --user -u llm-gateway",
        )


class Launchd:
    """`launchctl`, in the domain of the user who is logged in at the screen."""

    def __init__(self, user_home: Path, run: Run = run, uid: int | None = None) -> None:
        self.file = launchd.agent_file(user_home)
        self._run = run
        self._domain = f"gui/{os.getuid() if uid is None else uid}"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{launchd.LABEL}"

    def render(self, plan: Plan) -> bytes:
        """See Manager."""
        return launchd.render(plan)

    def install(self, plan: Plan) -> None:
        """See Manager."""
        _write(self.file, self.render(plan))
        self._run(("launchctl", "bootout", self._target))  # fails where none is loaded
        self._launchctl("enable", self._target)
        self._launchctl("bootstrap", self._domain, str(self.file))

    def uninstall(self) -> bool:
        """See Manager."""
        if not self.file.exists():
            return False
        self._run(("launchctl", "bootout", self._target))
        self.file.unlink()
        return True

    def status(self) -> Status:
        """See Manager."""
        done = self._run(("launchctl", "print", self._target))
        return launchd.read_status(done.out, self.file, loaded=done.code == 0)

    def _launchctl(self, *arguments: str) -> None:
        done = self._run(("launchctl", *arguments))
        if done.code:
            raise ServiceError(
                f"launchctl {arguments[0]} failed ({_line(done.err)})",
                "run it in a terminal of the user who is logged in at the screen, not over ssh",
            )


def manager_of(sys_platform: str, environ: Mapping[str, str], user_home: Path) -> Manager:
    """The one of this platform."""
    return Launchd(user_home) if sys_platform == "darwin" else Systemd(environ, user_home)


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ServiceError(f"cannot write {file} ({reason})", "check the folder's owner and free space") from None


def _line(text: str) -> str:
    return " ".join(text.split())[:300] or "it did not say why"
