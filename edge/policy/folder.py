"""A folder of Rego files <-> Bundle.

    *.rego, team/*.rego      modules; names of A-Z, a-z, 0-9, `.`, `_` and `-`
    *_test.rego              tests
    data.json | data.yaml    `data.gwcfg`
    anything else, .hidden   not read

The folder is the operator's, but what lies in it may not be: a checkout of a repository, a mounted volume. A link that
leads out of it would put a secret's text into a policy's error message, a FIFO would hang the gateway, a file of 50 MB
would eat it. Links within the folder are followed: Kubernetes mounts a ConfigMap as `x.rego -> ..data/x.rego`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from edge.policy.errors import PolicyToolError
from edge.policy.folder_data import read_json, read_yaml
from policies.bundle import Bundle, canonical_json
from policies.embedded.sizes import MAX_FILE, MAX_FILES, MAX_MODULES, NAME
from policies.json import Object

MAX_DATA: Final = 4 << 20
"""Half of what the workshop takes: the configuration adds to it."""
MAX_DEPTH: Final = 8
_MAX_ENTRIES: Final = 4_096
REGO: Final = ".rego"
TEST: Final = "_test.rego"
_DATA: Final = frozenset({"data.json", "data.yaml", "data.yml"})

Fingerprint: TypeAlias = "tuple[tuple[str, int, int, int, int], ...]"


class _Found(NamedTuple):
    """A file that counts: its name within the bundle, where it really is, and its status."""

    name: str
    path: Path
    status: os.stat_result


def read_folder(folder: Path) -> Bundle:
    """The bundle in `folder`. PolicyToolError, with the file's name, for whatever cannot be read as one."""
    modules: dict[str, str] = {}
    tests: dict[str, str] = {}
    data: Object | None = None
    total = 0
    for found in _files(folder):
        limit = MAX_DATA if found.name in _DATA else MAX_FILE
        content = _read(found, limit)
        if found.name not in _DATA:
            total += len(content)
            if total > MAX_MODULES:
                raise PolicyToolError(f"{folder} holds more than {_size(MAX_MODULES)} of Rego", "split what it decides")
            texts = tests if found.name.endswith(TEST) else modules
            texts[found.name] = _text(found, content)
        elif data is None:
            data = read_json(content, found.name) if found.name == "data.json" else read_yaml(content, found.name)
        else:
            raise PolicyToolError(f"{folder} holds both data.json and data.yaml", "keep one of them")
    if not modules:
        raise PolicyToolError(f"there is no policy (*.rego) in {folder}", "see `policy init DIR`", usage=True)
    return Bundle(modules, tests, data or {})


def fingerprint(folder: Path) -> Fingerprint:
    """What changes whenever a file of the policy does; nothing is read. PolicyToolError as `read_folder`."""
    return tuple(
        (f.name, f.status.st_ino, f.status.st_size, f.status.st_mtime_ns, f.status.st_ctime_ns) for f in _files(folder)
    )


def write_folder(bundle: Bundle, folder: Path) -> list[Path]:
    """Write `bundle` into `folder`, which must be new or empty; the files written. PolicyToolError."""
    check_bundle(bundle)
    files = {**bundle.modules, **bundle.tests}
    if bundle.data:
        files["data.json"] = json.dumps(bundle.data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise PolicyToolError(
                f"{folder} is not empty", "give a new folder, so that nothing is overwritten", usage=True
            )
        for name, text in sorted(files.items()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise _refused(folder, error) from None
    return [folder / name for name in sorted(files)]


def check_bundle(bundle: Bundle) -> None:
    """Refuse what no folder could hold: for bundles that come over an API. PolicyToolError."""
    if not bundle.modules:
        raise PolicyToolError("the policy has no modules", "give at least one *.rego text", usage=True)
    if len(bundle.modules) + len(bundle.tests) > MAX_FILES:
        raise PolicyToolError(f"the policy has more than {MAX_FILES} files", "join some of them", usage=True)
    total = 0
    for kind, files in (("module", bundle.modules), ("test", bundle.tests)):
        for name, text in files.items():
            _check_name(name)
            if name.endswith(TEST) != (kind == "test") or not name.endswith(REGO):
                raise PolicyToolError(f"'{name}' is no name of a {kind}", f"tests end in {TEST}", usage=True)
            try:
                total += _bounded(name, len(text.encode()), MAX_FILE)
            except UnicodeEncodeError:
                raise PolicyToolError(f"{name} is not UTF-8", "save it as UTF-8") from None
    if total > MAX_MODULES:
        raise PolicyToolError(f"the policy has more than {_size(MAX_MODULES)} of Rego", "split what it decides")
    try:
        size = len(canonical_json(bundle.data))
    except (ValueError, TypeError, RecursionError):
        raise PolicyToolError("the policy's data is no JSON", "give one plain object") from None
    _bounded("the policy's data", size, MAX_DATA)


def _files(folder: Path) -> list[_Found]:
    try:
        root = folder.resolve(strict=True)
        found = sorted(islice(_walk(root, root, "", count()), MAX_FILES + 1))
    except OSError as error:
        raise _refused(folder, error) from None
    except RuntimeError:  # Path.resolve before Python 3.13, for links in a ring
        raise PolicyToolError(f"{folder} holds links that lead in a ring", "take them out") from None
    if len(found) > MAX_FILES:
        raise PolicyToolError(f"{folder} holds more than {MAX_FILES} policy files", "join some of them")
    return found


def _walk(root: Path, folder: Path, prefix: str, seen: Iterator[int]) -> Iterator[_Found]:
    if prefix.count("/") > MAX_DEPTH:
        raise PolicyToolError(f"{root} is nested more than {MAX_DEPTH} folders deep", "lay it out flatter")
    with os.scandir(folder) as entries:
        for entry in entries:
            if next(seen) > _MAX_ENTRIES:
                raise PolicyToolError(f"{root} holds too many files", "give policies a folder of their own")
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, Path(entry.path), f"{name}/", seen)
            elif entry.name.endswith(REGO) or entry.name in _DATA:
                yield _within(root, name, Path(entry.path))
            elif entry.is_symlink() and entry.is_dir():
                raise PolicyToolError(f"{name} is a link to a folder", "links to folders are not followed; copy it")


def _within(root: Path, name: str, path: Path) -> _Found:
    _check_name(name)
    if "/" in name and path.name in _DATA:
        raise PolicyToolError(f"{name} would not be read", "data lies in data.json at the top of the folder")
    real = path.resolve(strict=True)
    if not real.is_relative_to(root):
        raise PolicyToolError(f"{name} is a link that leads out of {root}", "copy the file into the folder")
    status = real.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise PolicyToolError(f"{name} is not a regular file", "take it out of the folder")
    _bounded(name, status.st_size, MAX_DATA if name in _DATA else MAX_FILE)
    return _Found(name, real, status)


def _read(found: _Found, limit: int) -> bytes:
    """At most `limit` bytes. Checked again on the open file: what the name points to may have changed since."""
    # O_NONBLOCK: opening a FIFO would wait for its writer. It changes nothing for a regular file.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with os.fdopen(os.open(found.path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PolicyToolError(f"{found.name} is not a regular file", "take it out of the folder")
            content = file.read(limit + 1)
    except OSError as error:
        raise _refused(found.path, error) from None
    _bounded(found.name, len(content), limit)
    return content


def _text(found: _Found, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise PolicyToolError(f"{found.name}:{row} is not UTF-8", "save it as UTF-8") from None
    return text


def _bounded(name: str, size: int, limit: int) -> int:
    if size > limit:
        raise PolicyToolError(f"{name} is larger than {_size(limit)}", "a policy is text, and data is a few tables")
    return size


def _size(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"


def _check_name(name: str) -> None:
    if NAME.fullmatch(name) is None:
        raise PolicyToolError(f"a file cannot be named {name!a}", "use letters, digits, `.`, `_` and `-`", usage=True)


def _refused(path: Path, error: OSError) -> PolicyToolError:
    reason = error.strerror or type(error).__name__
    step = "give the folder" if isinstance(error, NotADirectoryError) else "check that it is there and readable"
    return PolicyToolError(f"cannot use {path} ({reason})", step, usage=True)
