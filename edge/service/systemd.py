"""A user unit of systemd: what stands in it, where it lies, and what systemd says of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.service.plan import NAME, RESTART_S, Plan, ServiceError, Status

UNIT: Final = f"{NAME}.service"
_START_S: Final = 120  # a first start with an engine of its own takes a while; a usual one takes one second
_WRONG_CONFIGURATION: Final = 2
PROPERTIES: Final = ("LoadState", "ActiveState", "SubState", "MainPID", "ExecMainStatus", "Result")


def unit_file(environ: Mapping[str, str], user_home: Path) -> Path:
    """Where systemd looks for a user's own units (systemd.unit(5))."""
    chosen = environ.get("XDG_CONFIG_HOME", "")
    return (Path(chosen) if chosen.startswith("/") else user_home / ".config") / "systemd" / "user" / UNIT


def render(plan: Plan) -> str:
    """The unit. ServiceError for a path that none can hold."""
    environment = "\n".join(f"Environment={_quoted(f'{k}={v}')}" for k, v in plan.environment.items())
    program, *arguments = map(_quoted, plan.command)
    # systemd.service(5): $NAME is replaced in arguments, and not in the program.
    command = " ".join((program, *(word.replace("$", "$$") for word in arguments)))
    return f"""# Written by `llm-gateway service install`, every time. Your own lines: systemctl --user edit {NAME}
[Unit]
Description=llm-gateway, the one door in front of the LLM engines of this machine
StartLimitIntervalSec=300
StartLimitBurst=20

[Service]
# It says when it listens, so that a start that fails is seen as one.
Type=notify
NotifyAccess=main
ExecStart={command}
WorkingDirectory={_escaped(str(plan.home))}
{environment}
UMask=0077
NoNewPrivileges=yes
Restart=on-failure
RestartSec={RESTART_S}
# Wrong configuration: it would fail again.
RestartPreventExitStatus={_WRONG_CONFIGURATION}
TimeoutStartSec={_START_S}
TimeoutStopSec={plan.stop_s}
# Engines that it started get their signal from it, when the last answers are out.
KillMode=mixed
# On standard output it would show the first key. Its log is a file; what comes before that goes to the journal.
StandardOutput=null
StandardError=journal

[Install]
WantedBy=default.target
"""


def read_status(shown: str, file: Path, *, installed: bool) -> Status:
    """What `systemctl show --property=…` printed."""
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    active = values.get("ActiveState", "unknown")
    pid, code = _number(values.get("MainPID")), _number(values.get("ExecMainStatus"))
    state = f"{active} ({values.get('SubState', '')})"
    if active == "failed" and values.get("Result"):
        state += f", {values['Result']}"
    running = active == "active"
    return Status(installed, running, state, pid or None, None if running else code, file)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _quoted(word: str) -> str:
    """systemd.syntax(7), "Quoting": within double quotes, C-style escapes are known."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(word: str) -> str:
    """systemd.unit(5), "Specifiers": a literal % is written twice."""
    if any(ord(character) < ord(" ") for character in word):
        raise ServiceError("a path with control characters cannot stand in a unit", "move it")
    return word.replace("%", "%%")
