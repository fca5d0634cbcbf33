"""`llm-gateway top`: look at a running gateway again and again.

Exit codes: 0 ended by who looks, 1 no gateway or no permission, 2 wrong usage or unusable state.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from edge.cli.live.access import access
from edge.cli.live.client import AdminClient, Away, Refused, Where
from edge.cli.live.screen import screen
from edge.cli.live.terminal import Terminal, wants_colour
from edge.config.load import Overrides, load
from edge.config.settings import Settings
from edge.config.values import Bind
from policies.json import Object

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
_QUIT: Final = frozenset("qQ\x03\x04\x1b")
_WIDTH: Final = 160


def run(args: argparse.Namespace) -> int:
    """Run it; returns the exit code. ConfigError and StateError go to the caller."""
    settings, bind = opened(args)
    end_well()
    try:
        with access("top", settings) as key:
            client = AdminClient(Where.of(bind), key)
            return _look(args, client)
    except Away:
        return complain("top", nobody(bind), FAILED)
    except Refused as error:
        return complain("top", str(error), USAGE if error.usage else FAILED)
    except KeyboardInterrupt:
        return DONE


def _look(args: argparse.Namespace, client: AdminClient) -> int:
    document = client.snapshot()
    if args.json:
        return _stream(args, client, document)
    if args.once or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        width = shutil.get_terminal_size((_WIDTH, 0)).columns
        print("\n".join(line.text for line in screen(document, width)))
        return DONE
    with Terminal(colour=wants_colour(os.environ)) as terminal:
        _draw(terminal, client, document, args.interval)
    return DONE


def _stream(args: argparse.Namespace, client: AdminClient, document: Object) -> int:
    """JSON, one object per line; a gateway that is away is waited for."""
    while True:
        print(json.dumps(document), flush=True)
        if args.once:
            return DONE
        while True:
            time.sleep(args.interval)
            with suppress(Away):
                document = client.snapshot()
                break


def _draw(terminal: Terminal, client: AdminClient, document: Object, interval: float) -> None:
    note, looked = "", time.monotonic()
    while True:
        width, height = terminal.size
        terminal.show(screen(document, width, height, note))
        key = terminal.wait(looked + interval - time.monotonic())
        if key and key in _QUIT:
            return
        if time.monotonic() - looked < interval:
            continue  # only the window's size has changed
        looked = time.monotonic()
        try:
            document, note = client.snapshot(), ""
        except Away:
            document, note = {}, f"nothing answers on {client.place}: waiting for the gateway"


def opened(args: argparse.Namespace) -> tuple[Settings, Bind]:
    """The settings, and where the admin listener is. ConfigError."""
    settings = load(args.config, os.environ, Overrides(admin=args.admin))
    return settings, settings.admin.bind


def nobody(bind: Bind) -> str:
    """What to say where no gateway answers."""
    return f"no gateway answers on {bind}: start it with `llm-gateway up`, or say where it is with --admin HOST:PORT"


def complain(command: str, text: str, code: int) -> int:
    """One line on standard error; gives `code`."""
    print(f"llm-gateway {command}: {text}", file=sys.stderr)
    return code


def end_well() -> None:
    """Let signals end it as Ctrl-C does, so that the key is deleted and the terminal is as before.

    SIGINT too: a shell that starts it in the background has it ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)


def _end(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
