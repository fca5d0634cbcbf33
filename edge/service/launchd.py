"""A user agent of macOS: what stands in its property list, where it lies, and what launchd says of it. Pure.

Not run on a Mac: written by launchd.plist(5) and launchctl(1), and tested on what they print there.
"""

from __future__ import annotations

import plistlib
import re
from pathlib import Path
from typing import Final

from edge.service.plan import Plan, Status

LABEL: Final = "io.github.llm-gateway"
_THROTTLE_S: Final = 30
"""launchd cannot be told that exit code 2 means wrong configuration; at least it asks no more than twice a minute."""
_VALUE: Final = re.compile(r"^\s*(state|pid|last exit code) = (.+?)\s*$", re.MULTILINE)


def agent_file(user_home: Path) -> Path:
    """Where launchd looks for a user's own agents."""
    return user_home / "Library" / "LaunchAgents" / f"{LABEL}.plist"


def render(plan: Plan) -> bytes:
    """The property list."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": list(plan.command),
            "EnvironmentVariables": dict(plan.environment),
            "WorkingDirectory": str(plan.home),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _THROTTLE_S,
            "ExitTimeOut": plan.stop_s,
            # Interactive: macOS must not slow down what people wait for (launchd.plist(5), ProcessType).
            "ProcessType": "Interactive",
            "Umask": 0o077,
            # Standard output would show the first key.
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": str(errors_file(plan.log)),
        },
        sort_keys=False,
    )


def errors_file(log: Path) -> Path:
    """What the gateway says before its log is open; `up --log` keeps it short."""
    return log.with_name("errors.log")


def read_status(printed: str, file: Path, *, loaded: bool) -> Status:
    """What `launchctl print gui/UID/LABEL` printed; `loaded`: it knew the service."""
    installed = file.exists()
    if not loaded:
        return Status(installed, running=False, state="not loaded", file=file)
    values = dict(_VALUE.findall(printed))
    state, pid, code = values.get("state", "unknown"), values.get("pid", ""), values.get("last exit code", "")
    running = state == "running"
    last = re.match(r"\d+", code)  # "2", "0", "(never exited)", "78: EX_CONFIG"
    return Status(
        installed,
        running,
        state,
        int(pid) if pid.isdigit() else None,
        int(last[0]) if last and not running else None,
        file,
    )
