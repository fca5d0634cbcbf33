"""Files of one package become one module before regorus sees them.

regorus 0.13 can take an empty partial object for undefined when its rules stand in another file than the rule that
reads it, depending on the order in which the files were loaded; then a whole decision is undefined. As one module the
same rules come out as in OPA, in every order (`tests/policies/embedded/test_weld.py` has the case).

Each line keeps its place relative to its file, so that what is said of a row of the whole can be said of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_PACKAGE: Final = re.compile(r"\s*package\s+([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(?:#.*)?", re.ASCII)
_IMPORT: Final = re.compile(
    r"\s*import\s+([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\s+as\s+([A-Za-z_]\w*))?\s*(?:#.*)?", re.ASCII
)
_LATE_IMPORT: Final = re.compile(r"\s*import\s")
_NOTHING: Final = re.compile(r"\s*(?:#.*)?")
_SYNTAX: Final = ("rego.", "future.")
"""Imports that only switch on what Rego v1 has anyway."""


@dataclass(frozen=True, slots=True)
class Welded:
    """One module: its name for regorus, its text, and which file begins after how many rows of it."""

    name: str
    text: str
    files: tuple[tuple[str, int], ...]

    def origin(self, row: int) -> tuple[str, int]:
        """The file and the row in it of `row`."""
        file, before = next((item for item in reversed(self.files) if row > item[1]), self.files[0])
        return file, max(row - before, 1)


@dataclass(frozen=True, slots=True)
class _File:
    """One file without its package and imports (each an empty line), and those: alias to path."""

    name: str
    package: str
    imports: dict[str, str]
    text: str


def weld(modules: Mapping[str, str]) -> list[Welded]:
    """The modules to load, sorted by name. Files that cannot be welded stay as they are."""
    packages: dict[str, list[_File]] = {}
    whole: list[Welded] = []
    for name, text in sorted(modules.items()):
        file = _read(name, text)
        if file is None:
            whole.append(_alone(name, text))
        else:
            packages.setdefault(file.package, []).append(file)
    for package, files in packages.items():
        if len(files) > 1 and not _clash(files):
            whole.append(_join(package, files))
        else:
            whole += [_alone(file.name, modules[file.name]) for file in files]
    return sorted(whole, key=lambda module: module.name)


def _alone(name: str, text: str) -> Welded:
    return Welded(name, text, ((name, 0),))


def _read(name: str, text: str) -> _File | None:
    """The file, if its head is plain: comments, one package, imports, each on a line of its own."""
    lines = text.split("\n")
    package, imports = "", dict[str, str]()
    for index, line in enumerate(lines):
        if found := _PACKAGE.fullmatch(line):
            if package:
                return None
            package = found[1]
        elif package and (found := _IMPORT.fullmatch(line)):
            path, alias = found[1], found[2] or found[1].rpartition(".")[2]
            if not path.startswith(_SYNTAX) and imports.setdefault(alias, path) != path:
                return None
        elif _NOTHING.fullmatch(line):
            continue
        else:
            # An import in a form that is not read above would stand in the middle of the joined module.
            if any(_LATE_IMPORT.match(rest) for rest in lines[index:]):
                return None
            break
        lines[index] = ""
    return _File(name, package, imports, "\n".join(lines)) if package else None


def _clash(files: list[_File]) -> bool:
    """Whether an import of one file would change what a name means in another."""
    for file in files:
        for alias, path in file.imports.items():
            for other in files:
                if other.imports.get(alias) != path and re.search(rf"(?<![\w.]){alias}\b", other.text):
                    return True
    return len({(alias, path) for file in files for alias, path in file.imports.items()}) != len(
        {alias for file in files for alias in file.imports}
    )


def _join(package: str, files: list[_File]) -> Welded:
    imports = {alias: path for file in files for alias, path in file.imports.items()}
    head = [f"package {package}", *(f"import {path} as {alias}" for alias, path in sorted(imports.items()))]
    parts, rows, places = ["\n".join(head)], len(head), []
    for file in files:
        places.append((file.name, rows))
        parts.append(file.text)
        rows += file.text.count("\n") + 1
    return Welded(package, "\n".join(parts), tuple(places))
