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
_UNCHECKED: Final = py_compile.PycInvalidationMode.UNCHECKED_HASH
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
    compileall.compile_dir(TARGET / "lib", quiet=2, force=True, invalidation_mode=_UNCHECKED)


def compiled_for_the_demo() -> None:
    """What its server loads: of the thousands of modules that come with mlx-lm most never are."""
    code = "import mlx_lm.server, sys; print(*(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', 0)))"
    loaded = subprocess.run([_PYTHON, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - constants
    for file in loaded.stdout.split():
        if file.startswith(str(TARGET)) and file.endswith(".py"):
            py_compile.compile(file, quiet=2, invalidation_mode=_UNCHECKED)


def settled(epoch: int) -> None:
    """Every file's time."""
    for path in (TARGET, *TARGET.rglob("*")):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main() -> None:
    """See above; `demo` goes on from what `run` has made."""
    demo = sys.argv[1] == "demo"
    if not demo:
        call(sys.executable, "-m", "venv", "--without-pip", str(TARGET))
    packages(sys.argv[1])
    gateway()
    strip(TARGET / "lib")
    compiled_for_the_demo() if demo else compiled()
    settled(int(os.environ["SOURCE_DATE_EPOCH"]))


if __name__ == "__main__":
    main()
