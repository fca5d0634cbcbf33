"""Where, with what and how it was measured: for the document."""

from __future__ import annotations

import platform
import re
import resource
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from policies.json import JSON, Object
from tests.benchmarks.contenders import versions
from tests.benchmarks.cores import placing, processors
from tests.system.process import ROOT

_FILES: Final = 65_536
"""Where the system sets no bound."""


def described() -> Object:
    """The machine."""
    return {
        "processor": _processor(),
        "processors": processors(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
        "system": platform.platform(),
        "placed": "contender on the first processor, everything else on the others"
        if placing()
        else "nothing is placed",
    }


def open_files() -> int:
    """Let this process and what it starts open as many files as are wanted, or as the system allows, and say how many
    that is. Root may raise the hard limit too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (_FILES, hard):
        with suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (wanted, hard if hard == resource.RLIM_INFINITY else max(wanted, hard))
            )
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def programs() -> Object:
    """Versions, None where a program is not there."""
    found: Object = {
        "llm-gateway": _said(("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*")),
        "python": platform.python_version(),
        "nginx": _number(_said(("nginx", "-v"))),
        "wrk": _number(_said(("wrk", "-v"))),
        "go": _number(_said(("go", "version"))),
        "redis": _number(_said(("redis-server", "--version"))),
    }
    return found | versions()


def today() -> str:
    """The date, UTC."""
    return datetime.now(tz=UTC).date().isoformat()


def _processor() -> str:
    """Its name, where the system tells."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return _said(("sysctl", "-n", "machdep.cpu.brand_string")) or platform.processor()
    return found[1] if found else platform.machine()


def _said(command: tuple[str, ...]) -> str:
    """What a program says, on either pipe; "" if there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


def _number(text: str) -> JSON:
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found[0] if found else None
