"""A systemd of the test's own: a real `systemd --user` in a mount namespace, with its own /run. Linux and root only.

It has a cgroup of its own, too. Nobody's real services are touched: `systemctl --user` inside speaks to this manager
alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.system.process import ROOT, Ended

_MANAGER: Final = next(
    (each for each in ("/lib/systemd/systemd", "/usr/lib/systemd/systemd") if Path(each).exists()), ""
)
# The manager takes the root of the tree it sees for its own, and moves what it finds there: it is shown a group only.
_SCRIPT: Final = """
set -e
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 none /mnt
else
  mount -t cgroup -o none,name=systemd cgroup /mnt
fi
group=/mnt/lgw-$$
mkdir $group
mount -t tmpfs none /run
mkdir -p /run/systemd/system
mkdir -m 700 /run/user-of-the-test
sh -c 'echo $$ > $0/cgroup.procs && exec unshare -C sh -c "$INSIDE"' $group &
trap 'kill $!' TERM
wait $! || true
wait $! || true
find $group -depth -type d -exec rmdir {} +
"""
_INSIDE: Final = """
set -e
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 none /sys/fs/cgroup
else
  mount -t tmpfs none /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
exec $MANAGER --user
"""


def why_not() -> str:
    """Why there can be none here; "" if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "did not run: a systemd of the test's own needs root on Linux"
    if not _MANAGER or not shutil.which("systemctl"):
        return "did not run: there is no systemd here"
    return ""


@dataclass(slots=True)
class UserSystemd:
    """Commands run `inside` see this manager as theirs; `home` is their home folder."""

    process: subprocess.Popen[str]
    home: Path

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> Ended:
        """One command to its end."""
        done = subprocess.run(
            ("nsenter", "-t", str(self.process.pid), "-m", f"--wd={ROOT}", *command),
            env={**os.environ, **self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    @property
    def environment(self) -> dict[str, str]:
        gone = {"XDG_CONFIG_HOME": "", "DBUS_SESSION_BUS_ADDRESS": ""}
        return {**gone, "HOME": str(self.home), "XDG_RUNTIME_DIR": "/run/user-of-the-test"}


@contextmanager
def user_systemd(home: Path) -> Iterator[UserSystemd | None]:
    """A running manager; None where the kernel does not let it run."""
    log = (home / "systemd.log").open("w")
    mine = {"HOME": str(home), "XDG_RUNTIME_DIR": "/run/user-of-the-test", "MANAGER": _MANAGER, "INSIDE": _INSIDE}
    process = subprocess.Popen(
        ("unshare", "-m", "--propagation", "private", "sh", "-c", _SCRIPT),
        env={**os.environ, **mine},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        text=True,
    )
    manager = UserSystemd(process, home)
    try:
        yield manager if _answers(manager) else None
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _answers(manager: UserSystemd) -> bool:
    end = time.monotonic() + 20.0
    while time.monotonic() < end and manager.process.poll() is None:
        if manager.run("systemctl", "--user", "is-system-running").out.strip() in {"running", "degraded"}:
            return True
        time.sleep(0.1)
    return False
