"""One compiled policy and its values. The only module that touches regorus; to be used in a child process, one thread.

regorus panics outside the thread that made the engine, keeps the GIL while it evaluates, and ends the process when a
function recurses without end: hence the child (SECURITY.md). Values come back by `eval_rule_as_json`, which alone can
show sets that hold objects (facts A3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol, cast

import orjson
import regorus

from policies.bundle import DATA_ROOT, ENTRY
from policies.embedded.alike import data_fault
from policies.embedded.weld import Welded, weld
from policies.json import JSON, Object, as_list, as_object, as_str

RULE: Final = "data." + ENTRY.replace("/", ".")
PACKAGE: Final = RULE.rpartition(".")[0]
FORBIDDEN: Final = {"http.send": 1, "opa.runtime": 0, "net.lookup_ip_addr": 1}
"""Builtins that reach out of the process, and how many arguments they take: a policy that names one does not load."""

_UNDEFINED: Final = '"<undefined>"'
_TAB: Final = 4  # columns that regorus counts for a tab; everybody else counts one
_PATTERNS: Final = 1_024  # a key's globs are patterns too, so more than the 256 that regorus keeps compiled
_MAX_COLUMN: Final = 4_096
_MAX_BYTES: Final = 4 << 20
_MAX_LINES: Final = 200_000
_PLACE: Final = re.compile(r"^--> (.+):(\d+):(\d+)$", re.MULTILINE)
_ERROR: Final = re.compile(r"^error: (.*)", re.MULTILINE | re.DOTALL)


class _Engine(Protocol):
    """What we use of `regorus.Engine`; every method may raise RuntimeError."""

    def add_policy(self, path: str, rego: str) -> str: ...
    def add_data_json(self, data: str) -> None: ...
    def add_extension(self, path: str, nargs: int, extension: Callable[..., object]) -> None: ...
    def set_input_json(self, input: str) -> None: ...  # noqa: A002 - regorus' name
    def eval_rule_as_json(self, rule: str) -> str: ...
    def eval_query_as_json(self, query: str) -> str: ...
    def get_ast_as_json(self) -> str: ...
    def set_enable_coverage(self, enable: bool) -> None: ...  # noqa: FBT001 - regorus' signature
    def get_coverage_report_as_json(self) -> str: ...
    def set_policy_length_config(self, *, max_col: int, max_file_bytes: int, max_lines: int) -> None: ...
    def clear_coverage_data(self) -> None: ...
    def set_gather_prints(self, b: bool) -> None: ...  # noqa: FBT001 - regorus' signature
    def take_prints(self) -> list[str]: ...


class RegoError(Exception):
    """What regorus says of a policy or of an evaluation. `file` "" and `row` 0 where it names no place."""

    def __init__(self, message: str, file: str = "", row: int = 0, column: int = 0) -> None:
        super().__init__(message, file, row, column)
        self.message = message
        self.file = file
        self.row = row
        self.column = column

    def __str__(self) -> str:
        return f"{self.file}:{self.row}:{self.column}: {self.message}" if self.file else self.message


class Policy:
    """Modules and data, compiled. Everything here may raise RegoError, and may end the process (see fence.py)."""

    def __init__(
        self, modules: Mapping[str, str], data: Object, *, coverage: bool = False, backwards: bool = False
    ) -> None:
        """`modules` maps file names to text, `data` is what stands under `data.gwcfg`.

        `backwards` loads them in reverse, as a check on regorus: the order must not matter.
        """
        regorus.set_cache_config(regex=_PATTERNS)
        self._engine = cast("_Engine", regorus.Engine())
        self._engine.set_gather_prints(True)
        self._engine.set_enable_coverage(coverage)
        self._engine.set_policy_length_config(max_col=_MAX_COLUMN, max_file_bytes=_MAX_BYTES, max_lines=_MAX_LINES)
        self._modules = {module.name: module for module in weld(modules)}
        for module in sorted(self._modules.values(), key=lambda module: module.name, reverse=backwards):
            self._load(module)
        fault = data_fault(data)
        if fault is not None:
            raise RegoError(fault)
        try:
            self._engine.add_data_json(orjson.dumps({DATA_ROOT: data}).decode())
            for name, arguments in FORBIDDEN.items():
                self._engine.add_extension(name, arguments, _refuse)
        except (RuntimeError, TypeError) as error:
            raise RegoError(f"the data cannot be used: {error}") from None

    def _load(self, module: Welded) -> None:
        try:
            self._engine.add_policy(module.name, module.text)
        except (RuntimeError, UnicodeError) as error:
            raise self._error(error) from None

    def package(self, document: str) -> str | None:
        """The value of the whole package of the decision, every rule in it: as `value`."""
        answer: JSON = orjson.loads(self._evaluated(document, self._engine.eval_query_as_json, PACKAGE))
        results = as_list(as_object(answer).get("result"))
        expressions = as_list(as_object(results[0]).get("expressions")) if results else []
        return orjson.dumps(as_object(expressions[0]).get("value")).decode() if expressions else None

    def value(self, document: str, rule: str = RULE) -> str | None:
        """The value of `rule` for the input `document` (JSON text) as JSON text, None if it is undefined.

        A policy whose value is the string "<undefined>" is taken for undefined: regorus does not tell them apart, and
        neither is a decision.
        """
        value = self._evaluated(document, self._engine.eval_rule_as_json, rule)
        return None if value == _UNDEFINED else value

    def _evaluated(self, document: str, evaluate: Callable[[str], str], what: str) -> str:
        try:
            self._engine.set_input_json(document)
            return evaluate(what)
        except (RuntimeError, UnicodeError) as error:
            raise self._error(error) from None
        finally:
            self.prints = self._engine.take_prints()

    def warm(self) -> None:
        """Have regorus prepare the modules, which it does at the first evaluation: one on `{}`, whatever it gives."""
        with suppress(RegoError):
            self.value("{}")
        self._engine.clear_coverage_data()

    def coverage(self) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
        """The rows (file, row) that ran, and those that could have and did not."""
        ran, idle = set[tuple[str, int]](), set[tuple[str, int]]()
        report: JSON = orjson.loads(self._engine.get_coverage_report_as_json())
        for item in as_list(as_object(report).get("files")):
            file = as_object(item)
            module = self._modules[as_str(file.get("path"))]
            for rows, found in ((file.get("covered"), ran), (file.get("not_covered"), idle)):
                found |= {module.origin(row) for row in as_list(rows) if isinstance(row, int)}
        return ran, idle

    def _error(self, error: Exception) -> RegoError:
        text = str(error).split("\n\nStack backtrace:")[0].strip()
        place, found = _PLACE.search(text), _ERROR.search(text)
        message = " ".join((found.group(1) if found else text).split())
        if place is None:
            return RegoError(message)
        row, shown = int(place.group(2)), int(place.group(3))
        module = self._modules.get(place.group(1))
        if module is None:
            return RegoError(message, place.group(1), row, shown)
        lines = module.text.split("\n")
        return RegoError(message, *module.origin(row), _column(lines[row - 1] if row <= len(lines) else "", shown))


def syntax_tree(name: str, text: str) -> Object:
    """regorus' own syntax tree of one file, as its JSON. RegoError; RecursionError if it is nested too deeply."""
    engine = Policy({name: text}, {})._engine  # noqa: SLF001 - the same module
    try:
        tree: JSON = orjson.loads(engine.get_ast_as_json())
    except orjson.JSONDecodeError as error:
        if "ecursion" in str(error):
            raise RecursionError(str(error)) from None
        raise MemoryError(str(error)) from None  # regorus' own JSON is sound
    return as_object(as_object(as_list(tree)[0]).get("ast"))


def _column(line: str, shown: int) -> int:
    """The column as editors and OPA count it."""
    width = 1
    for column, character in enumerate(line, start=1):
        if width >= shown:
            return column
        width += _TAB if character == "\t" else 1
    return len(line) + 1 + max(0, shown - width)


def _refuse(*_arguments: object) -> object:
    raise PermissionError("this builtin reaches out of the policy and is refused")


def forbid(modules: Mapping[str, str]) -> None:
    """RegoError if a module names a builtin that reaches out of the process.

    Only texts in which such a name can stand are looked into: a syntax tree is 80 times the size of its text. One that
    hides the name from this (`http["s\\u0065nd"]`) raises when it is called: `_refuse` stands in the builtin's place.
    """
    last_words = {name.rpartition(".")[2] for name in FORBIDDEN}
    for name, text in modules.items():
        if any(word in text for word in last_words):
            _search(name, syntax_tree(name, text))


def _search(file: str, node: JSON) -> None:
    if isinstance(node, list):
        for item in node:
            _search(file, item)
    elif isinstance(node, dict):
        name = _dotted(node)
        if name in FORBIDDEN:
            span = as_object(as_object(next(iter(node.values()))).get("span"))
            row = span.get("line")
            raise RegoError(f"{name} is refused", file, row if isinstance(row, int) else 0, 1)
        for item in node.values():
            _search(file, item)


def _dotted(node: Object) -> str:
    """`a.b` of a reference of two parts, however it is written; "" of anything else."""
    outer = as_object(node.get("RefDot") or node.get("RefBrack"))
    base = as_object(as_object(outer.get("refr")).get("Var")).get("value")
    field = as_list(outer.get("field"))
    text = field[1] if len(field) > 1 else as_object(as_object(outer.get("index")).get("String")).get("value")
    return f"{base}.{text}" if isinstance(base, str) and isinstance(text, str) else ""
