"""The command line's entry: parsers, dispatch, exit codes (0 done, 1 failed, 2 wrong usage or bad configuration)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from edge.cli.arguments import SubParsers
    from edge.config.settings import Settings

WRONG_USAGE: Final = 2
_UP: Final = "up"

_EPILOG: Final = """first steps:
  llm-gateway up --demo                 run the gateway with a tiny model; prints the first key and a curl line
  llm-gateway keys create my-app        a key of its own for each caller
  llm-gateway config schema             every setting, as JSON Schema
"""


def _version() -> str:
    try:
        return version("llm-gateway")
    except PackageNotFoundError:
        return "unknown (not installed)"


def build_parser() -> argparse.ArgumentParser:
    """The whole command's parser."""
    from edge.cli import ca, capture, config, healthcheck, keys, models, service, up, usage
    from edge.cli.compose import parser as compose
    from edge.cli.live import parser as live
    from edge.cli.policy import parser as policy

    return _parser(up, keys, models, policy, usage, live, capture, ca, service, config, healthcheck, compose)


def _up_parser() -> argparse.ArgumentParser:
    """The same for `up` and nothing else: the gateway would hold the other commands for as long as it runs (1 MB)."""
    from edge.cli import up

    return _parser(up)


class _Command(Protocol):
    """A module of this package."""

    def add_parser(self, subparsers: SubParsers, /) -> None: ...


def _parser(*modules: _Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-gateway",
        description="The one door in front of your local LLM engines: a key per caller, every request accounted for.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in modules:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    from edge.config.problems import ConfigError
    from edge.identity.state import StateError
    from edge.policy.errors import PolicyToolError
    from edge.tls.errors import TlsError

    args = (_up_parser() if argv[:1] == [_UP] else build_parser()).parse_args(argv)
    try:
        code: int = _keys(args) if args.command == "keys" else args.run(args)
    except (ConfigError, StateError, PolicyToolError, TlsError) as error:
        print(f"llm-gateway: {error}", file=sys.stderr)
        return WRONG_USAGE
    except BrokenPipeError:
        return 1
    return code


def _keys(args: argparse.Namespace) -> int:
    """`keys` works on the database that `up` with the same configuration uses."""
    from edge.cli import keys
    from edge.config.load import load
    from edge.identity.state import state_home

    def settings() -> Settings:
        return load(getattr(args, "config", None), os.environ)

    home = state_home(os.environ)
    return keys.run(args, home, lambda: settings().stores.database, lambda: [*settings().models.presets])


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))
