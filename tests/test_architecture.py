"""The house rules that a reader would otherwise have to trust (docs/decisions/0001): imports, sizes, docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("policies", "engines", "observability", "edge")
MAY_IMPORT = {
    "policies": {"policies"},
    "engines": {"engines", "policies"},
    "observability": {"observability", "policies"},
    "edge": set(PACKAGES),
    "tests": {*PACKAGES, "tests"},
}
MAX_LINES = 400

# aiohttp reads bytes from strangers, httptools from engines: whoever uses them is a place to look at closely.
AIOHTTP = (
    "edge/listener/",
    "edge/admin/",
    "edge/identity/jwks.py",
    "edge/cli/up.py",
    "observability/otlp/sender.py",
    "policies/embedded/",
    "policies/opa/",
    "tests/",
)


def modules(*folders: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def imports(module: str) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything `module` imports, wherever in it the import stands."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            yield node.module or "", node.lineno


OURS = modules(*PACKAGES)
ALL = modules(*PACKAGES, "tests")


def test_finds_the_house() -> None:
    assert {module.partition("/")[0] for module in OURS} == set(PACKAGES)


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_imports_point_to_the_ground_floor(package: str) -> None:
    wrong = [
        f"{module}:{line} imports {name}"
        for module in modules(package)
        for name, line in imports(module)
        if name.partition(".")[0] in {*PACKAGES, "tests"} - MAY_IMPORT[package]
    ]
    assert wrong == []


# The adapters to policy engines, each a folder of its own, and what their child processes run.
RIM_OF_POLICIES = ("policies/embedded/", "policies/opa/", "policies/child.py", "policies/leash.py")


def test_policies_are_pure() -> None:
    """Decisions get the time and the randomness passed in, and do no I/O."""
    impure = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "subprocess", "threading", "time", "aiohttp"}
    wrong = [
        f"{module}:{line} imports {name}"
        for module in modules("policies")
        for name, line in imports(module)
        if name.partition(".")[0] in impure and not module.startswith(RIM_OF_POLICIES)
    ]
    assert wrong == []


def test_only_the_route_of_admins_has_an_admins_permit() -> None:
    users = {module for module in OURS for name, _ in names_used(module) if name == "admins_permit"}
    assert users == {"policies/decision.py", "edge/admin/removing.py"}


def test_only_the_demo_has_a_permit_of_its_own() -> None:
    """Every other Permit comes out of `judge`, with a policy's decision in it."""
    users = {module for module in OURS for name, _ in names_used(module) if name == "own_permit"}
    assert users == {"policies/decision.py", "engines/demo.py"}


def names_used(module: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(module)):
        match node:
            case ast.Name(id=name, lineno=line) | ast.Attribute(attr=name, lineno=line):
                yield name, line
            case ast.alias(name=name) | ast.FunctionDef(name=name):
                yield name, getattr(node, "lineno", 0)
            case _:
                pass


def test_aiohttp_stays_at_the_rim() -> None:
    wrong = [
        f"{module}:{line}"
        for module in ALL
        for name, line in imports(module)
        if name.partition(".")[0] == "aiohttp" and not module.startswith(AIOHTTP)
    ]
    assert wrong == []


def test_nobody_reaches_an_engine_but_through_the_transport() -> None:
    """It asks for the Permit; what opens connections does not."""
    only = {
        "engines.pool": {"engines/transport.py"},
        "engines.wire": {"engines/pool.py", "engines/transport.py"},
        "httptools": {"engines/wire.py"},
    }
    users: dict[str, set[str]] = {name: set() for name in only}
    for module in OURS:
        for name, _ in imports(module):
            for known, found in users.items():
                if name == known or name.startswith(f"{known}."):
                    found.add(module)
    assert users == only


def test_no_task_gets_lost() -> None:
    """asyncio keeps weak references to tasks: `edge.tasks.Tasks` and TaskGroup keep strong ones and tell failures."""
    wrong = [
        f"{module}:{getattr(node, 'lineno', 0)}"
        for module in ALL
        for node in ast.walk(tree(module))
        if loses_a_task(node) and module != "edge/tasks.py"
    ]
    assert wrong == []


def loses_a_task(node: ast.AST) -> bool:
    """`asyncio.create_task` anywhere, and an `ensure_future(...)` whose task nobody keeps."""
    match node:
        case ast.Attribute(attr="create_task", value=owner):
            return is_asyncio(owner)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="ensure_future"))):
            return True
        case _:
            return False


def is_asyncio(node: ast.expr) -> bool:
    """`asyncio.create_task` or `loop.create_task`; the method of a TaskGroup is meant to be used."""
    match node:
        case ast.Name(id="asyncio" | "loop"):
            return True
        case ast.Attribute(attr="loop" | "_loop"):
            return True
        case ast.Call(func=ast.Attribute(attr="get_running_loop" | "get_event_loop")):
            return True
        case _:
            return False


def test_every_module_says_what_it_is_for() -> None:
    wrong = [module for module in OURS if not ast.get_docstring(tree(module))]
    wrong += [
        module
        for module in modules("tests")
        if not module.endswith("__init__.py") and not ast.get_docstring(tree(module))
    ]
    assert wrong == []


MAPPED = re.compile(r"^ *[a-z_]+\.py ", re.MULTILINE)
NAMED = re.compile(r"(?<![\w/])([a-z_]+)\.py\b")


def test_a_package_that_lists_its_modules_lists_all_and_none_that_is_gone() -> None:
    wrong = {}
    for init in (module for module in OURS if module.endswith("/__init__.py")):
        text = ast.get_docstring(tree(init)) or ""
        there = {path.stem for path in (ROOT / init).parent.glob("*.py")} - {"__init__", "__main__"}
        listed = set(NAMED.findall(text)) - {"__main__"}
        if MAPPED.search(text) and listed != there:
            wrong[init] = (sorted(there - listed), sorted(listed - there))
    assert wrong == {}


def test_modules_stay_readable() -> None:
    sizes = {module: len((ROOT / module).read_text(encoding="utf-8").splitlines()) for module in ALL}
    assert {module: size for module, size in sizes.items() if size > MAX_LINES} == {}
