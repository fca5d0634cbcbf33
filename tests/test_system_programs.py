"""requirements/system.sh: which programs it asks for, and how; nothing here is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "requirements" / "system.sh"
BENCH = "nginx wrk golang-go redis-server"


def ran(folder: Path, argument: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """What the script says where there are only these programs, each of which says its text and its arguments."""
    for name, text in programs.items():
        program = folder / name.replace("_", "-")
        program.write_text(f'#!/bin/sh\necho {text} "$@"\n')
        program.chmod(0o700)
    return subprocess.run(
        ("/bin/sh", str(SCRIPT), argument), env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )


def test_on_debian_root_installs_what_the_benchmark_needs(tmp_path: Path) -> None:
    done = ran(tmp_path, "bench", uname="Linux;:", id="0;:", apt_get="apt-get")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"--no-install-recommends {BENCH}")


@pytest.mark.parametrize(
    ("system", "said"),
    [("Linux;:", f"sudo apt-get install {BENCH}"), ("Darwin;:", "brew install nginx wrk go redis")],
)
def test_elsewhere_it_says_how(tmp_path: Path, system: str, said: str) -> None:
    done = ran(tmp_path, "bench", uname=system, id="1000;:", apt_get="apt-get")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"make bench needs more programs. Please run:  {said}\n"


def test_nothing_is_asked_for_that_is_there(tmp_path: Path) -> None:
    done = ran(tmp_path, "bench", nginx="", wrk="", go="", redis_server="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tests_have_needs_of_their_own(tmp_path: Path) -> None:
    done = ran(tmp_path, "test", uname="Linux;:", id="1000;:", ls="")
    assert done.returncode == 1
    assert "g++" in done.stderr
    assert "nginx" not in done.stderr
