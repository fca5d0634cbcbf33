"""`llm-gateway usage`: who used how much, as a table, JSON or CSV.

Works on the database directly, whether or not a gateway runs. Exit codes: 0 done, 1 failed, 2 wrong usage or unusable
state.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from edge.cli.arguments import SubParsers
from edge.cli.policy.printing import print_json, print_table
from policies.json import Object

if TYPE_CHECKING:
    from edge.ledger.usage import By, Used

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
_BY: Final = ("day", "key", "owner", "model", "engine")  # as edge.ledger.usage.BY, which costs SQLAlchemy's import
_FIGURES: Final = ("requests", "input_tokens", "output_tokens", "total_tokens", "gpu_seconds", "errors")
_EXAMPLES: Final = """
examples:
  llm-gateway usage                               the last 30 days, by key
  llm-gateway usage --by owner,model --since 7d   the last seven days, today included
  llm-gateway usage --by day --since 2026-01-01 --until 2026-01-31
  llm-gateway usage --by day,key --csv usage.csv  for a spreadsheet; - writes to standard output
  llm-gateway usage --estimates                   how far the gateway's estimates of prompts were off, by model

Days are whole days in UTC. Requests that still run are not counted; what a caller got in a request that failed is.
"""


def add_parser(subparsers: SubParsers) -> None:
    """Add `usage`; `args.run(args)` runs it."""
    parser = subparsers.add_parser(
        "usage",
        help="who used how much: requests, tokens, GPU seconds",
        description="Who used how much: requests, tokens, GPU seconds, errors.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    lines = parser.add_mutually_exclusive_group()
    lines.add_argument(
        "--by",
        type=_columns,
        default=("key",),
        metavar="COLUMNS",
        help="one line for each of: key, owner, model, engine, day; several with commas (default: key)",
    )
    lines.add_argument(
        "--estimates", action="store_true", help="by model: how far estimates of prompts were from the engine's count"
    )
    parser.add_argument("--since", default="30d", metavar="7d|DATE", help="from then on (default: 30d)")
    parser.add_argument("--until", metavar="7d|DATE", help="the last day that counts (default: today)")
    parser.add_argument("--config", metavar="FILE", help="the configuration, for the database it names")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON for scripts")
    form.add_argument("--csv", metavar="FILE", help="write CSV to FILE, or to standard output with -")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """On the database that `up` with the same configuration uses. ConfigError and StateError go to the caller."""
    from edge.config.load import load
    from edge.identity.state import state_home

    settings = load(args.config, os.environ)
    return show(args, state_home(os.environ), settings.stores.database)


def show(args: argparse.Namespace, home: Path, database_url: str | None, now: float | None = None) -> int:
    """Do what `args` asks; returns the exit code. `database_url` None = gateway.db in `home`. StateError."""
    # Lazy: SQLAlchemy costs 200 ms, which --help and usage errors need not pay.
    from edge.ledger.usage import key_names, span_of, used
    from edge.store.opening import open_database

    try:
        span = span_of(args.since, args.until, time.time() if now is None else now)
    except ValueError as error:
        return _complain(str(error), USAGE)
    if args.estimates and args.csv is not None:
        return _complain("--estimates has no CSV: use --json", USAGE)
    database = open_database(home, database_url)
    try:
        if args.estimates:
            from edge.cli.estimates import show as show_estimates

            show_estimates(database, span, as_json=args.json)
            return DONE
        lines = used(database, args.by, span)
        names = key_names(database) if "key" in args.by else {}
    finally:
        database.close()
    documents = [_document(args.by, line, names) for line in lines]
    if args.csv is not None:
        return _write_csv(args.csv, args.by, documents)
    if args.json:
        print_json(documents)
    elif documents:
        _print(args.by, documents)
    else:
        print("Nothing was used in that time. Look further back: llm-gateway usage --since 90d")
    return DONE


def _document(by: Sequence[By], line: Used, names: Mapping[str, str]) -> Object:
    document: Object = {}
    for column, value in zip(by, line.of, strict=True):
        document[column] = value
        if column == "key":
            document["key_name"] = names.get(value)
    figures = (line.requests, line.input, line.output, line.total, line.gpu_ms / 1000, line.errors)
    return document | dict(zip(_FIGURES, figures, strict=True))


def _print(by: Sequence[By], documents: Sequence[Object]) -> None:
    """What people read; with more than one line, a last one that sums up."""
    heading = [*(column.upper() for column in by), "REQUESTS", "INPUT", "OUTPUT", "TOTAL", "GPU S", "ERRORS"]
    rows = [tuple(heading)]
    for document in documents:
        who = [_name(document) if column == "key" else str(document[column]) for column in by]
        rows.append((*who, *(_figure(document[name]) for name in _FIGURES)))
    if len(documents) > 1:
        sums = [sum(_number(document[name]) for document in documents) for name in _FIGURES]
        rows.append(("all", *[""] * (len(by) - 1), *map(_figure, sums)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(heading))]
    # Numbers to the right: one sees at a glance which is the largest.
    print_table([(*row[: len(by)], *(row[at].rjust(widths[at]) for at in range(len(by), len(row)))) for row in rows])


def _name(document: Object) -> str:
    """A key by its name where it still has one; the id tells apart those of the same name."""
    name = document["key_name"]
    return str(document["key"]) if name is None else f"{name} ({document['key']})"


def _figure(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else ""


def _number(value: object) -> int | float:
    return value if isinstance(value, int | float) else 0


def _write_csv(target: str, by: Sequence[By], documents: Sequence[Object]) -> int:
    columns = [name for column in by for name in ((column, "key_name") if column == "key" else (column,))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *_FIGURES])
    writer.writerows([_cell(document[name]) for name in (*columns, *_FIGURES)] for document in documents)
    if target == "-":
        print(text.getvalue(), end="")
        return DONE
    try:
        Path(target).write_text(text.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        return _complain(
            f"cannot write {target} ({error.strerror}): choose another file, or - for the terminal", FAILED
        )
    return DONE


def _cell(value: object) -> object:
    """Spreadsheets run what begins with one of these as a formula; owners and models are named by others."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return "" if value is None else value


def _columns(text: str) -> tuple[By, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    if not words or any(word not in _BY for word in words):
        raise argparse.ArgumentTypeError(f"write one or more of {', '.join(_BY)}, separated by commas")
    return cast("tuple[By, ...]", words)


def _complain(text: str, code: int) -> int:
    print(f"llm-gateway usage: {text}", file=sys.stderr)
    return code
