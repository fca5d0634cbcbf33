"""`llm-gateway compose ...`: what Docker Compose calls. People need not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from edge.cli.arguments import SubParsers
from edge.cli.compose.messages import Messages
from edge.cli.compose.options import add_options, metadata

if TYPE_CHECKING:
    from edge.cli.compose.provider import Asked

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
_EPILOG: Final = """
In a Compose file (docs/compose-provider.md):

  services:
    app:
      depends_on: [llm]
    llm:
      provider:
        type: llm-gateway
        options: {model: ai/smollm2, rpm: 60, tpd: 500000}
"""


class _Parser(argparse.ArgumentParser):
    """What is wrong with the options must be said in Compose's way: it does not show standard error."""

    def parse_known_args(  # type: ignore[override]  # typeshed has overloads for namespaces of other kinds
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """What is left over is a mistake here, not in the parser around, which tells it on standard error."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        _messages().error(f"llm-gateway: {message}")
        self.exit(USAGE)


def add_parser(subparsers: SubParsers) -> None:
    """Add the command; `args.run(args)` runs it and returns the exit code."""
    compose = subparsers.add_parser(
        "compose",
        help="the Compose provider; Docker Compose calls it",
        description="The Compose provider. Docker Compose calls it for services with `provider: {type: llm-gateway}`.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    compose.add_argument("--project-name", metavar="NAME", default="", help="the stack")
    actions = compose.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Parser)
    for name, text in (
        ("up", "give the service its key, and say how to reach the gateway"),
        ("down", "revoke the key"),
        ("stop", "nothing: a stopped stack keeps its key"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        action.add_argument("service", metavar="SERVICE", help="the service with the provider")
        if name == "up":
            add_options(action)
    actions.add_parser("metadata", help="the options, as JSON")
    compose.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action; whatever fails is told in Compose's way."""
    if args.action == "metadata":
        print(json.dumps(metadata(), indent=2))
        return DONE
    if args.action == "stop":
        return DONE
    from edge.cli.compose.place import find
    from edge.cli.compose.provider import Failed, down, up
    from edge.config.problems import ConfigError
    from edge.identity.stack import StackService
    from edge.identity.state import StateError

    say = _messages()
    try:
        which = StackService(args.project_name, args.service)
        place = find(os.environ)
        if args.action == "up":
            up(which, _asked(args), place, say)
        else:
            down(which, place, say)
    except Failed as error:
        say.error(str(error))
        return FAILED
    except (ConfigError, StateError, ValueError) as error:
        say.error(str(error).partition("\n")[0])
        return USAGE
    return DONE


def _asked(args: argparse.Namespace) -> Asked:
    from edge.cli.compose.provider import Asked

    limits = {name: getattr(args, name) for name in ("rpm", "tpm", "tpd", "concurrency", "priority", "preset")}
    return Asked(
        models=tuple(dict.fromkeys(args.model)),
        limits=limits,
        pull=args.pull,
        engine=args.engine,
        url=args.url,
        check=args.check,
        openai_env=args.openai_env,
    )


def _messages() -> Messages:
    return Messages(lambda line: print(line, end="", file=sys.stdout, flush=True))
