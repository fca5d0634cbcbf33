"""Fetches the wheels that lock files name, for a Python and a C library that need not be this machine's.

    wheels.py FOLDER amd64|arm64 PYTHON GLIBC-MINOR LOCK...

PYTHON in full, as 3.11.2. FOLDER ends up holding them and nothing else; what it was made for is not fetched again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pip._vendor.packaging.markers import Marker

_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_LEGACY: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_PIN: Final = re.compile(r"(?P<pin>[A-Za-z0-9._\[\]-]+==[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))?(?P<rest> *\\?)\Z")


def platforms(machine: str, glibc: int) -> Iterator[str]:
    """Every tag that a glibc 2.`glibc` runs (PEP 600), the newest first."""
    for minor in range(glibc, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{machine}"


def environment(machine: str, python: str) -> Mapping[str, str]:
    """What markers are judged by (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "platform_python_implementation": "CPython",
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "os_name": "posix",
        "platform_system": "Linux",
        "sys_platform": "linux",
        "platform_machine": machine,
        "extra": "",
    }


def applicable(lock: str, target: Mapping[str, str]) -> Iterator[str]:
    """The lines of a lock file whose markers hold there, without the markers: `pip download` judges them by the Python
    that runs it, whatever `--python-version` says."""
    wanted = True
    for line in lock.splitlines():
        if (pin := _PIN.match(line)) is not None:
            wanted = pin["marker"] is None or Marker(pin["marker"]).evaluate(dict(target))
            line = f"{pin['pin']}{pin['rest']}"  # noqa: PLW2901 - the same line, cut
        if wanted:
            yield line


def fetch(folder: Path, machine: str, python: str, glibc: int, locks: list[Path]) -> None:
    """Into an empty folder first: a build must not see wheels of an older lock file."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    have = [f"--find-links={folder}"] if folder.is_dir() else []
    for lock in locks:
        cut = part / lock.name
        cut.write_text("\n".join(applicable(lock.read_text(), environment(machine, python))) + "\n")
        subprocess.run(  # noqa: S603 - our own command line
            (
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
                *("--only-binary=:all:", "--no-deps", "--require-hashes", f"--requirement={cut}", f"--dest={part}"),
                *(*have, f"--python-version={python}", "--implementation=cp"),
                *(f"--platform={each}" for each in platforms(machine, glibc)),
            ),
            check=True,
        )
        cut.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def main() -> None:
    """Unless the folder was made for the very same."""
    folder, arch, python, glibc, *names = sys.argv[1:]
    locks = [Path("requirements") / f"{name}.lock" for name in names]
    asked = " ".join((arch, python, glibc, *(hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks)))
    stamp = Path(folder) / "made-for"
    if stamp.is_file() and set(asked.split()) <= set(stamp.read_text().split()):
        return  # also where the folder holds the demo's wheels, and the gateway's are among them
    print("fetching wheels for the image", file=sys.stderr)
    fetch(Path(folder), _MACHINES[arch], python, int(glibc), locks)
    stamp.write_text(asked)


if __name__ == "__main__":
    main()
