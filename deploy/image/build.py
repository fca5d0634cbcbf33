"""Run inside the image's build stage: `/opt/llm-gateway`, a virtual environment with the gateway, from the lock file.

    build.py run|demo

With a wheelhouse in the build context (`deploy/image/make.sh` puts it into .cache/image/wheels) nothing is asked of the
network; without one pip fetches what the lock file names. Hashes are checked either way. The same inputs give the same
bytes: no time, no order of a hash table, no path of the builder's gets into a file.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Final

from debugging import strip

SOURCE: Final = Path("/src")
WHEELS: Final = SOURCE / ".cache/image/wheels"
TARGET: Final = Path("/opt/llm-gateway")
_PYTHON: Final = str(TARGET / "bin/python3")


def call(*argv: str) -> None:
    """Run it; its failure is ours."""
    subprocess.run(argv, check=True)  # noqa: S603 - constants


def pip(*arguments: str) -> None:
    """pip of the wheelhouse, which the lock file pins, or the base's own; it works on TARGET either way."""
    carried = sorted(WHEELS.glob("pip-*.whl"))
    runner = [str(carried[-1] / "pip")] if carried else ["-m", "pip"]
    call(
        *(sys.executable, *runner, "--python", _PYTHON),
        *("--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir", *arguments),
    )


def packages(lock: str) -> None:
    """What the lock file pins, and nothing else."""
    offline = ["--no-index", f"--find-links={WHEELS}"] if any(WHEELS.glob("*.whl")) else []
    file = SOURCE / "requirements" / f"{lock}.lock"
    pip("install", "--no-compile", "--only-binary=:all:", "--require-hashes", *offline, f"--requirement={file}")


def gateway() -> None:
    """The project itself; then its build back-end goes."""
    pip("install", "--no-compile", "--no-deps", "--no-build-isolation", "--no-index", str(SOURCE))
    pip("uninstall", "--yes", "setuptools")


def compiled() -> None:
    """Modules compiled by hash, unchecked: nothing is compared at a start, and no time gets into a file."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(TARGET / "lib", quiet=2, force=True, invalidation_mode=mode)


def settled(epoch: int) -> None:
    """Every file's time."""
    for path in (TARGET, *TARGET.rglob("*")):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main() -> None:
    """See above."""
    lock = sys.argv[1]
    if lock == "run":
        call(sys.executable, "-m", "venv", "--without-pip", str(TARGET))
    packages(lock)
    gateway()
    strip(TARGET / "lib")
    compiled()
    settled(int(os.environ["SOURCE_DATE_EPOCH"]))


if __name__ == "__main__":
    main()
