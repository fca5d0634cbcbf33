"""Run inside the image's base: take out what a gateway does not need and somebody who breaks in would like.

No setuid or setgid program, no path that everybody may write to, no package manager's cache, no log of how the base was
made. And modules of Python's own library are compiled where the base has none (the official images drop them), since a
read-only root would have each start compile them again.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import py_compile
import re
import shutil
import stat
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

USER: Final = 65532
"""`nonroot`, as distroless calls it: no account of the host's is likely to have that number."""

_OTHERS: Final = ("/proc", "/sys", "/dev")
_CACHES: Final = (
    "/var/cache/apt",
    "/var/lib/apt/lists",
    "/var/cache/debconf",
    "/var/cache/apk",
    str(Path("~root/.cache").expanduser()),
)
_LOGS: Final = ("/var/log", "/var/cache/ldconfig")
_RARE: Final = re.compile(r"/(test|tests|idlelib|lib2to3|tkinter|turtledemo|ensurepip|site-packages|dist-packages)/")


def entries(root: str = "/") -> Iterator[Path]:
    """Every path of the image, without what the kernel makes up."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if str(Path(folder, name)) not in _OTHERS]
        yield from (Path(folder, name) for name in (*folders, *files))


def close(path: Path) -> None:
    """No setuid, no setgid, nothing that everybody may write to."""
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return
    wanted = stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_IWOTH)
    if stat.S_ISREG(mode):
        wanted &= ~stat.S_ISGID
    if wanted != stat.S_IMODE(mode):
        path.chmod(wanted)


def empty(folder: str) -> None:
    """Everything in it, not itself: packages expect the folder."""
    for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def compile_library() -> None:
    """By hash and unchecked: a file's time then says nothing, and the same base gives the same bytes."""
    if Path(importlib.util.cache_from_source(str(Path(os.__file__)))).exists():
        return
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, rx=_RARE, invalidation_mode=mode)


def main() -> None:
    """Everything, and then this file."""
    for folder in (*_CACHES, *_LOGS):
        empty(folder)
    for path in entries():
        close(path)
    # The gateway's alone, where no tmpfs is mounted over it.
    os.chown("/tmp", USER, USER)
    Path("/tmp").chmod(0o700)
    compile_library()
    Path(sys.argv[0]).unlink()


if __name__ == "__main__":
    main()
