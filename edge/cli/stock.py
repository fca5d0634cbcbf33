"""`llm-gateway models pull|rm`: has an engine of the running gateway fetch a model, or delete one.

Exit codes: 0 done, 1 it cannot be done, 2 wrong usage or unusable state.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from edge.cli.arguments import SubParsers
from policies.json import Object, as_str

if TYPE_CHECKING:
    from edge.cli.live.client import AdminClient

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
_SILENCE: Final = 900.0
"""Seconds without a line: an engine that verifies what it fetched says nothing for a while."""
_ABOUT: Final = """
It asks the admin listener of the running gateway. Who owns its state folder needs nothing else; anybody else gives a
key with scope admin in $LLM_GATEWAY_ADMIN_KEY. Callers do the same with scope models:write (docs/dialects.md).
"""


def add_actions(actions: SubParsers) -> None:
    """Add `pull` and `rm` to the actions of `models`; `args.run(args)` runs them."""
    for name, text, example in (
        ("pull", "have an engine fetch a model, unless one has it", "models pull ai/smollm2"),
        ("rm", "have an engine delete a model", "models rm ai/smollm2 --engine dmr"),
    ):
        action = actions.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  llm-gateway {example}\n{_ABOUT}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_argument("model", metavar="MODEL", help="its name, as its registry or `models list` spells it")
        action.add_argument("--engine", metavar="NAME", help="which engine, where several can")
        action.add_argument("--config", metavar="FILE", help="the configuration, for addresses and the database")
        action.add_argument(
            "--admin", metavar="HOST:PORT", help="the admin listener, where it is not the configured one"
        )
        action.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it; returns the exit code. ConfigError and StateError go to the caller."""
    from edge.cli.live.access import access  # lazy: what --help need not pay
    from edge.cli.live.client import AdminClient, Away, Refused, Where
    from edge.cli.live.top import complain, nobody, opened
    from policies.principal import Scope

    settings, bind = opened(args)
    try:
        with access("models", settings, scope=Scope.ADMIN) as key:
            client = AdminClient(Where.of(bind), key, scope=Scope.ADMIN)
            problem = (_pull if args.action == "pull" else _remove)(client, args.model, args.engine)
    except Away:
        return complain("models", nobody(bind), FAILED)
    except Refused as error:
        return complain("models", str(error), USAGE if error.usage else FAILED)
    except KeyboardInterrupt:
        return complain("models", "stopped; what has come is kept by the engine, which goes on from there", FAILED)
    return complain("models", problem, FAILED) if problem else DONE


def _pull(client: AdminClient, model: str, engine: str | None) -> str:
    """Print how far it is; returns why it failed, "" if it is there."""
    from edge.admin.models import ENSURE

    wanted: Object = {"model": model, "pull": True, "engine": engine}
    for line in client.post_lines(ENSURE, wanted, _SILENCE):
        match line.get("event"):
            case "present":
                print(f"{model} is there")
                return ""
            case "pulling":
                print(f"{as_str(line.get('engine'))} fetches {model}: {line.get('percent')}%", file=sys.stderr)
            case _:
                return as_str(line.get("text"))
    return "the gateway ended its answer"


def _remove(client: AdminClient, model: str, engine: str | None) -> str:
    """Delete it; returns why it failed, "" if it is gone."""
    from edge.admin.removing import REMOVE

    told = client.post(REMOVE, {"model": model, "engine": engine})
    if told.get("removed") is not True:
        return as_str(told.get("text"))
    print(f"{as_str(told.get('engine'))} has deleted {as_str(told.get('model'))}")
    return ""
