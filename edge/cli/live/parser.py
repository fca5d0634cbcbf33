"""The options of `top` and `tail`, and help that shows how they are used."""

from __future__ import annotations

import argparse
import re
from typing import Final

from edge.cli.arguments import SubParsers

_SPAN: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s|m)?", re.ASCII)
_UNITS: Final = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0}
_SHORTEST: Final = 0.25
_KEY: Final = """
It asks the admin listener of the running gateway. Who owns its state folder needs nothing else; anybody else gives a
key with scope usage:read (or admin) in $LLM_GATEWAY_ADMIN_KEY.
"""
_TOP: Final = (
    """
examples:
  llm-gateway top                            until q or Ctrl-C
  llm-gateway top --once                     one look, as text
  llm-gateway top --once --json              one look, for scripts
  llm-gateway top --json --interval 5        one JSON object per line, every five seconds
"""
    + _KEY
)
_TAIL: Final = (
    """
examples:
  llm-gateway tail                           every request, as it ends
  llm-gateway tail --status 4xx              what is refused; --reason queue_full: why
  llm-gateway tail --model 'qwen*' --slower 5s
  llm-gateway tail --caller ann --json       the access lines, for scripts
"""
    + _KEY
)


def add_parser(subparsers: SubParsers) -> None:
    """Add both; `args.run(args)` runs one."""
    top = _command(subparsers, "top", "watch callers, queue and engines live", _TOP)
    top.add_argument("--once", action="store_true", help="one look, then end; so too where there is no terminal")
    top.add_argument("--json", action="store_true", help="the snapshot as JSON, one per line")
    top.add_argument(
        "--interval",
        type=_interval,
        default=1.0,
        metavar="SPAN",
        help="how often to look (default: 1s; at least 250ms)",
    )
    top.set_defaults(run=_run_top)
    tail = _command(subparsers, "tail", "print requests as they end", _TAIL)
    tail.add_argument("--caller", metavar="OWNER|KEY", help="of that owner, or of the key with that id")
    tail.add_argument("--model", metavar="GLOB", help="for models of that name; * any run, ? one character")
    tail.add_argument("--engine", metavar="NAME", help="served by that engine")
    tail.add_argument("--status", metavar="STATUS", help="with that status, like 429, or of a class, like 4xx")
    tail.add_argument("--reason", metavar="CODE", help="refused or failed for that reason; `any`: for whatever reason")
    tail.add_argument("--slower", type=span, metavar="SPAN", help="that took at least so long: 2s, 500ms, 1.5")
    tail.add_argument("--json", action="store_true", help="print the access lines themselves")
    tail.set_defaults(run=_run_tail)


def _command(subparsers: SubParsers, name: str, text: str, epilog: str) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration, for addresses and the database")
    parser.add_argument("--admin", metavar="HOST:PORT", help="the admin listener, where it is not the configured one")
    return parser


def _run_top(args: argparse.Namespace) -> int:
    from edge.cli.live.top import run  # lazy: what --help need not pay

    return run(args)


def _run_tail(args: argparse.Namespace) -> int:
    from edge.cli.live.tail import run

    return run(args)


def span(text: str) -> float:
    """`2s`, `500ms`, `1m` or bare seconds, in seconds; ArgumentTypeError for anything else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("write a time like 2s, 500ms or 1.5")
    return float(match[1]) * _UNITS[match[2]]


def _interval(text: str) -> float:
    return max(span(text), _SHORTEST)
