"""The lock files cover what pyproject.toml asks for, agree with each other, and name no place to download from."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("run", "demo", "dev", "llama-cpp", "image", "older", "llm", "litellm")
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)[^\\]*\\?\Z")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?\Z")


@cache
def lines(lock: str) -> list[str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


@cache
def pins(lock: str) -> dict[str, set[str]]:
    """Name -> versions; more than one where the version depends on the platform or on Python."""
    found: dict[str, set[str]] = {}
    for line in lines(lock):
        if match := PIN.match(line):
            found.setdefault(canonicalize_name(match["name"]), set()).add(match["version"])
    return found


def asked_for(lock: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]
    asked: list[str] = [*project["project"]["dependencies"], *groups["build"], *project["build-system"]["requires"]]
    if lock != "run":
        asked += extras["mlx"]
    return asked + groups["dev"] if lock == "dev" else asked


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_nothing_else_stands_there(lock: str) -> None:
    assert [line for line in lines(lock) if not PIN.match(line) and not HASH.match(line)] == []
    following = zip(lines(lock), [*lines(lock)[1:], ""], strict=True)
    assert [line for line, after in following if PIN.match(line) and not HASH.match(after)] == []


@pytest.mark.parametrize("lock", ["run", "demo", "dev"])
def test_is_fresh(lock: str) -> None:
    """`make lock` after a change of pyproject.toml."""
    stale = [
        text
        for requirement in map(Requirement, asked_for(lock))
        for text in [str(requirement)]
        if not any(
            requirement.specifier.contains(v) for v in pins(lock).get(canonicalize_name(requirement.name), set())
        )
    ]
    assert stale == []


def test_agree_with_each_other() -> None:
    for narrow in ("run", "demo"):
        for name, versions in pins(narrow).items():
            assert versions <= pins("dev").get(name, set()), name


def test_the_compiled_package_is_locked_apart() -> None:
    (version,) = pins("llama-cpp")["llama-cpp-python"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert Requirement(extras["llama-cpp"][0]).specifier.contains(version)
    assert "llama-cpp-python" not in pins("dev")


def test_no_file_says_where_to_download_from() -> None:
    files = [*(ROOT / "requirements").iterdir(), *(ROOT / ".ci").iterdir(), ROOT / "Makefile", ROOT / "pyproject.toml"]
    place = re.compile(r"https?://|(--|^)(extra-)?index-url|--find-links|--trusted-host")
    allowed = "--no-emit-find-links"
    wrong = [
        f"{file.name}: {line}"
        for file in files
        for line in file.read_text().splitlines()
        if place.search(line.replace(allowed, "").replace("--no-emit-index-url", ""))
    ]
    assert wrong == []
