"""`llm-gateway capture`: what was kept of prompts and answers, for the owner of the state folder.

Works on the files directly, whether or not a gateway runs. Exit codes: 0 done, 1 nothing found or refused, 2 wrong
usage or unusable state.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from datetime import UTC, datetime
from typing import Final

from edge.cli.arguments import SubParsers, count_to
from edge.cli.policy.printing import counted, moment, print_json, print_table
from edge.identity.duration import seconds
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.lifecycle.text import clean, words

DONE: Final = 0
FAILED: Final = 1
_EXAMPLES: Final = """
examples:
  llm-gateway capture list
  llm-gateway capture show 4bf92f3577b34da6a3ce929d0e0e4736
  llm-gateway capture purge --before 1d --yes      what is older than a day
  llm-gateway capture purge --id 4bf92f3577b34da6a3ce929d0e0e4736 --yes

Nothing is captured unless the policy says so: `capture: metadata` or `full` of a grant. See docs/capture.md.
"""


def add_parser(subparsers: SubParsers) -> None:
    """Add `capture`; `args.run(args)` runs it."""
    parser = subparsers.add_parser(
        "capture",
        help="what was kept of prompts and answers",
        description="What was kept of prompts and answers, where the policy says so.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the newest captures, without their texts")
    listing.add_argument("--limit", type=count_to(9_999), default=50, metavar="N", help="the newest N (default 50)")
    show = actions.add_parser("show", help="one capture")
    show.add_argument("request", metavar="REQUEST_ID", help="the answer's x-request-id")
    for each in (listing, show):
        each.add_argument("--json", action="store_true", help="print JSON for scripts")
    purge = actions.add_parser("purge", help="remove captures now, before their time is over")
    purge.add_argument("--before", metavar="7d|DATE", help="only those that are older (default: all)")
    purge.add_argument("--id", dest="request", metavar="REQUEST_ID", help="only that of one request")
    purge.add_argument("--yes", action="store_true", help="do it")
    purge.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """On the state folder of this user. StateError goes to the caller."""
    from edge.identity.state import state_home
    from observability.captures.log import CAPTURES
    from observability.captures.reader import find, newest, purge

    folder = state_home(os.environ) / CAPTURES
    match args.action:
        case "list":
            return _list(newest(folder, args.limit), as_json=args.json)
        case "show":
            return _show(find(folder, args.request), as_json=args.json)
        case _:
            try:
                before = math.inf if args.before is None else _instant(args.before, time.time())
            except ValueError as error:
                return _complain(str(error), 2)
            if not args.yes:
                return _complain("this cannot be undone: say --yes", FAILED)
            gone = purge(folder, before, args.request)
            if args.json:
                print_json({"removed": gone})
            else:
                print(f"{counted(gone, 'record')} removed")
            return DONE


def _list(found: list[Object], *, as_json: bool) -> int:
    if as_json:
        print_json(found)
    elif found:
        print_table([("AT", "REQUEST", "CAPTURE", "CALLER", "MODEL", "STATUS", "REASON"), *map(_row, found)])
    else:
        print("Nothing is captured.")
    return DONE


def _row(document: Object) -> tuple[str, ...]:
    record = as_object(document.get("record"))
    return (
        _moment(document),
        as_str(document.get("id")),
        as_str(document.get("capture")),
        *(words(record.get(name)) for name in ("caller", "model", "status", "reason")),
    )


def _show(found: Object | None, *, as_json: bool) -> int:
    if found is None:
        return _complain("nothing is captured of that request; `capture list` shows what is", FAILED)
    if as_json:
        print_json(found)
        return DONE
    record = as_object(found.get("record"))
    print(f"request   {clean(as_str(found.get('id')))}, {_moment(found)}, captured: {words(found.get('capture'))}")
    for name in ("caller", "key_id", "model", "engine", "status", "reason", "finish", "tokens_in", "tokens_out"):
        if name in record:
            print(f"{name:<9} {words(record[name])}")
    for side in ("request", "answer"):
        print(f"\n{side}")
        document = as_object(found.get(side))
        for key, value in document.items():
            if key != "text":
                print(f"  {clean(key)}: {words(value)}")
        for line in _said(as_object(document.get("text"))):
            print(f"  | {line}")
    return DONE


def _said(text: Object) -> list[str]:
    """The text, message by message, each of its lines cleaned: a terminal must not obey it."""
    lines: list[str] = []
    turns = [as_object(turn) for turn in as_list(text.get("messages"))]
    turns += [
        as_object(as_object(choice).get("message")) or as_object(choice) for choice in as_list(text.get("choices"))
    ]
    for turn in turns:
        lines.append(f"[{words(turn.get('role'))}]")
        for key in ("reasoning", "content", "refusal", "text", "tool_calls"):
            if turn.get(key):
                lines += _lines(turn[key])
    rest = {key: value for key, value in text.items() if key not in {"messages", "choices"}}
    for key, value in rest.items():
        lines += [f"[{clean(key)}]", *_lines(value)]
    return lines


def _lines(value: JSON) -> list[str]:
    text = value if isinstance(value, str) else words(value)
    return [clean(line, 10_000) for line in text.split("\n")]


def _moment(document: Object) -> str:
    at = document.get("at")
    return moment(float(at)) if isinstance(at, int | float) else "-"


def _instant(text: str, now: float) -> float:
    """`7d` ago, or the beginning of a day (UTC), as seconds since the epoch. ValueError."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return now - seconds(text)


def _complain(text: str, code: int) -> int:
    print(f"llm-gateway capture: {text}", file=sys.stderr)
    return code
