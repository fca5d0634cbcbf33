"""A real PostgreSQL for tests that ask for one: a throw-away cluster behind a UNIX socket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import make_url

NOBODY = 65534


@dataclass
class PostgresServer:
    """One that runs."""

    folder: Path
    _numbers: count[int] = field(default_factory=count)

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return make_url(f"postgresql://postgres@/{name}?host={self.folder}").render_as_string()


def program(name: str) -> str:
    """Debian keeps them outside of PATH; where there are several versions the last one is the newest."""
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
    assert found, f"{name} is missing: requirements/system.sh installs it"
    return found


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Start one, in a folder with a short name (a socket's path has 107 bytes), and end it."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user: dict[str, int] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = {"user": NOBODY, "group": NOBODY}
        os.chown(folder, NOBODY, NOBODY)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    data = folder / "data"
    made = [program("initdb"), "-D", str(data), "-A", "trust", "-U", "postgres"]
    made += ["--no-sync", "--no-locale", "-E", "UTF8"]
    subprocess.run(made, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL, **user)  # type: ignore[call-overload]
    run = [program("postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(run, env=environment, cwd=folder, stderr=log, **user)  # type: ignore[call-overload]
    end = time.monotonic() + 30
    while not (folder / ".s.PGSQL.5432.lock").exists() or b"ready to accept" not in (folder / "log").read_bytes():
        assert time.monotonic() < end, (folder / "log").read_text()
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.01)
    try:
        yield PostgresServer(folder)
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown
        process.wait(30)
        shutil.rmtree(folder)
