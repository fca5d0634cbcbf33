"""`llm-gateway tail`: one line per finished request, until Ctrl-C. A gateway that restarts is waited for.

Exit codes as `top`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Final, NoReturn

from edge.cli.live.access import access
from edge.cli.live.client import AdminClient, Away, Refused, Where
from edge.cli.live.line import line_of
from edge.cli.live.top import DONE, FAILED, USAGE, complain, end_well, nobody, opened
from observability.live.filters import NAMES, BadFilterError, describe, read_filter
from policies.json import Object
from policies.lifecycle.text import words

_AGAIN: Final = 0.5


def run(args: argparse.Namespace) -> int:
    """Run it; returns the exit code. ConfigError and StateError go to the caller."""
    filters = {name: _text(value) for name in NAMES if (value := getattr(args, name)) is not None}
    try:
        words = describe(read_filter(filters.items()))
    except BadFilterError as error:
        return complain("tail", f"--{error.name} {error}", USAGE)
    settings, bind = opened(args)
    end_well()
    try:
        with access("tail", settings) as key:
            client = AdminClient(Where.of(bind), key)
            teller = Teller(f"{client.place}" + (f" ({words})" if words else ""), as_json=args.json)
            _follow(client, filters, teller)
    except Away:
        return complain("tail", nobody(bind), FAILED)
    except Refused as error:
        return complain("tail", str(error), USAGE if error.usage else FAILED)
    except KeyboardInterrupt:
        return DONE


def _follow(client: AdminClient, filters: dict[str, str], teller: Teller) -> NoReturn:
    while True:
        try:
            for line in client.requests(filters):
                teller.tell(line)
        except Away:
            if not teller.watched:
                raise
            teller.away()
        time.sleep(_AGAIN)


class Teller:
    """Requests on standard output, everything else on standard error."""

    def __init__(self, place: str, *, as_json: bool) -> None:
        self._place = place
        self._json = as_json
        self._lost = False
        self.watched = False
        """Whether a gateway has ever answered."""

    def tell(self, line: Object) -> None:
        """What the gateway sent."""
        match line.get("event"):
            case "watching":
                self._say("again watching" if self.watched else "watching", self._place)
                self.watched, self._lost = True, False
            case "access":
                print(json.dumps(line) if self._json else line_of(line), flush=True)
            case "dropped":
                if self._json:
                    print(json.dumps(line), flush=True)
                self._say(
                    f"{words(line.get('lines'))} requests are left out", "they came faster than they are read here"
                )
            case _:  # alive, ended, and what later gateways may say
                pass

    def away(self) -> None:
        """The gateway does not answer any more; said once."""
        if not self._lost:
            self._lost = True
            self._say("the gateway is away", "waiting for it")

    @staticmethod
    def _say(what: str, more: str) -> None:
        print(f"llm-gateway tail: {what}: {more}", file=sys.stderr, flush=True)


def _text(value: object) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
