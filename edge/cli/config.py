"""`llm-gateway config check | show | schema`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from edge.cli.arguments import SubParsers
from policies.json import Object

if TYPE_CHECKING:
    from edge.config.problems import Problem

_OK = 0
_BAD_CONFIG = 2


def add_parser(subparsers: SubParsers) -> None:
    """Add the command; `args.run(args)` runs it and returns the exit code."""
    parser = subparsers.add_parser("config", help="check, show and describe the configuration")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="tell every mistake in the configuration; exit 2 if there is one")
    show = actions.add_parser("show", help="print the values in force, defaults included, secrets masked")
    for action in (check, show):
        action.add_argument("--config", metavar="FILE", help="instead of $LLM_GATEWAY_CONFIG or ./gateway.yaml")
        action.add_argument("--json", action="store_true", help="print JSON")
    schema = actions.add_parser("schema", help="print the JSON Schema of the configuration file")
    schema.add_argument("--json", action="store_true", help="accepted for symmetry: the schema is JSON anyway")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code: 0, or 2 with all problems."""
    if args.action == "schema":
        from edge.config.schema import schema

        print(json.dumps(schema(), indent=2))
        return _OK
    return _check(args.config, as_json=args.json) if args.action == "check" else _show(args.config, as_json=args.json)


def _check(config: str | None, *, as_json: bool) -> int:
    from edge.config.load import load, locate
    from edge.config.problems import ConfigError

    file = locate(config, os.environ)
    name = str(file) if file else None
    try:
        load(file, os.environ, key_files=True)
    except ConfigError as error:
        if as_json:
            problems = [_as_object(problem) for problem in error.problems]
            print(json.dumps({"ok": False, "file": name, "problems": problems}, indent=2))
        else:
            print(error, file=sys.stderr)
        return _BAD_CONFIG
    if as_json:
        print(json.dumps({"ok": True, "file": name, "problems": []}, indent=2))
    else:
        print(f"{name}: ok" if name else "no configuration file; the defaults are in force")
    return _OK


def _show(config: str | None, *, as_json: bool) -> int:
    from edge.config.load import load, locate
    from edge.config.problems import ConfigError
    from edge.config.show import effective

    file = locate(config, os.environ)
    try:
        settings = load(file, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return _BAD_CONFIG
    values = effective(settings)
    if as_json:
        print(json.dumps({"file": str(file) if file else None, "settings": values}, indent=2))
        return _OK
    import yaml

    print(f"# from {file}" if file else "# no configuration file: the defaults")
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120), end="")
    return _OK


def _as_object(problem: Problem) -> Object:
    return {
        "file": problem.source,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "instead": problem.instead,
    }
