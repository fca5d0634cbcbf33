"""What a service runs, and how it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

NAME: Final = "llm-gateway"
RESTART_S: Final = 5
"""Between two starts: long enough that a service which cannot run costs nothing, short enough that nobody waits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`program` and its arguments up to `up`; `home` is the state folder, which it also starts in; paths are absolute.

    `stop_s`: how long it may take to stop, in seconds. `packages`: where Python finds ours, if that is no place it
    looks at by itself (a source tree). `path` is the PATH of whoever installs it: launchd's own lacks
    Homebrew's folder, and the gateway would not find the `opa` it has on a terminal.
    """

    program: tuple[str, ...]
    home: Path
    config: Path | None
    log: Path
    path: str
    stop_s: int
    packages: Path | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """What is run."""
        config = () if self.config is None else ("--config", str(self.config))
        return (*self.program, "up", *config, "--log", str(self.log))

    @property
    def environment(self) -> Mapping[str, str]:
        """What is set for it, beside what every service of its user has."""
        packages = {} if self.packages is None else {"PYTHONPATH": str(self.packages)}
        return {"LLM_GATEWAY_HOME": str(self.home), "PATH": self.path, **packages}


@dataclass(frozen=True, slots=True)
class Status:
    """`state` in the words of the platform; `last_exit` is the exit code of the last run that ended."""

    installed: bool
    running: bool
    state: str
    pid: int | None = None
    last_exit: int | None = None
    file: Path = field(default_factory=Path)


class ServiceError(Exception):
    """A service cannot be had. One line: what is wrong, then what to do about it."""

    def __init__(self, problem: str, step: str) -> None:
        super().__init__(f"{problem}: {step}")
