"""`llm-gateway up`: run the gateway in the foreground, say where it listens and how to call it."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.cli.arguments import SubParsers
from edge.config.values import Bind
from edge.identity.state import state_home
from edge.running import Running, note
from edge.service.notify import tell
from policies.json import JSON, Object

if TYPE_CHECKING:
    from edge.gateway import Gateway

WRONG_USAGE: Final = 2
_FAILED: Final = 1
_MOST_STDERR: Final = 1024 * 1024
_YOUNG: Final = 10_000
"""Objects more than were freed, after which the garbage collector looks at them."""
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def add_parser(subparsers: SubParsers) -> None:
    """Add the command; `args.run(args)` runs it and returns the exit code."""
    parser = subparsers.add_parser(
        "up",
        help="run the gateway",
        description="Run the gateway. Without a configuration it listens on 127.0.0.1:8080 and finds the engines "
        "on this machine. On the first start it prints the first key, once.",
    )
    parser.add_argument("--config", metavar="FILE", help="instead of $LLM_GATEWAY_CONFIG or ./gateway.yaml")
    parser.add_argument("--listen", metavar="HOST:PORT", help="address of the first listener; port 0 = any free one")
    parser.add_argument("--admin", metavar="HOST:PORT", help="address of health and readiness")
    demo = parser.add_mutually_exclusive_group()
    demo.add_argument("--demo", action="store_true", help="also run the project's tiny model in a real engine")
    demo.add_argument("--demo-if-empty", action="store_true", help="the same, if no engine is found")
    parser.add_argument(
        "--log", metavar="FILE", type=Path, help="instead of stderr; turned over as access_log_bytes says"
    )
    parser.add_argument("--json", action="store_true", help="print events as JSON lines on stdout, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    gc.disable()  # until `_settle_heap`: next to nothing that a start makes is garbage, and to look for it takes 50 ms
    try:
        return _up(args)
    finally:
        gc.enable()


def _up(args: argparse.Namespace) -> int:
    import_aiohttp()
    from edge.config.load import Overrides, Source, load, locate
    from edge.fleet import Demo
    from edge.listener.server import ListenError
    from edge.logs import open_journal

    overrides = Overrides(listen=args.listen, admin=args.admin)
    file = locate(args.config, os.environ)
    source = Source(file, lambda: load(file, os.environ, overrides, key_files=True))
    settings = source.read()
    demo = Demo.ON if args.demo else Demo.IF_EMPTY if args.demo_if_empty else Demo.OFF
    teller = Events() if args.json else Words()
    home = state_home(os.environ)
    try:
        journal = open_journal(settings.telemetry, os.environ, args.log)
    except OSError as error:
        print(f"llm-gateway: cannot write to {args.log}: {error.strerror or error}", file=sys.stderr)
        return WRONG_USAGE
    if args.log is not None:
        _shorten_stderr()
    from edge.gateway import running  # after the configuration: whose mistakes need not wait for it

    try:
        with closing(journal):
            return _run_loop(_serve(running(settings, home, demo, journal, source), teller, Notes(home, file)))
    except ListenError as error:
        print(f"llm-gateway: {error}", file=sys.stderr)
        return WRONG_USAGE


def import_aiohttp() -> None:
    """aiohttp reads all of the system's certificates when it is imported, twice: 60 ms of a start, and 2 MB that stay.

    Nothing here uses them, since whoever speaks TLS makes a context of its own. So OpenSSL is told of none meanwhile:
    with the context that aiohttp would fall back on, nobody is trusted.
    """
    before = {name: os.environ.get(name) for name in _CERTIFICATES}
    os.environ.update(dict.fromkeys(_CERTIFICATES, os.devnull))
    try:
        import_module("aiohttp")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _shorten_stderr() -> None:
    """launchd appends it to a file for ever, and starts what fails again and again."""
    with suppress(OSError):
        status = os.fstat(sys.stderr.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size > _MOST_STDERR:
            os.ftruncate(sys.stderr.fileno(), 0)


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    """uvloop where it is installed (a third faster on this path); asyncio's own loop is as right."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


@dataclass(frozen=True, slots=True)
class Notes:
    """For commands beside the gateway: see edge/running.py."""

    home: Path
    config: Path | None

    def listening(self, gateway: Gateway) -> AbstractContextManager[object]:
        """Once everything listens; to be left when that ends."""
        admin = gateway.doors[-1]
        try:
            return note(self.home, Running(self.config, Bind(admin.host, admin.port)))
        except OSError as error:
            logging.getLogger(__name__).warning("%s says nowhere that it runs: %s", self.home, error.strerror)
            return nullcontext()


async def _serve(started: AbstractAsyncContextManager[Gateway], teller: Events | Words, notes: Notes) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_failure)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with started as gateway:
        with notes.listening(gateway):
            await _run_until(stop, gateway, teller)
        teller.draining()
        tell(os.environ, "STOPPING=1")
        _second_signal_kills(loop)
    return 0


async def _run_until(stop: asyncio.Event, gateway: Gateway, teller: Events | Words) -> None:
    teller.listening(gateway)
    tell(os.environ, "READY=1")
    _settle_heap()
    ready = asyncio.ensure_future(gateway.fleet.demo_ready.wait())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        if gateway.fleet.demo is not None or gateway.fleet.demo_failure:
            await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                teller.demo(gateway)
        await stopped
    finally:
        ready.cancel()
        stopped.cancel()


def _settle_heap() -> None:
    """What a start has made stays, so the garbage collector need not walk through it again and again.

    Its 72,000 objects cost a pause of 50 ms each time, and an eighth of what a request took under load. A request
    leaves it nothing (tests/budget/test_garbage.py): to look after every 700 objects would be 3 % of one for nothing.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()


def _log_failure(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's own handler prints the text of exceptions, which may quote what a caller sent."""
    failure = context.get("exception")
    logging.getLogger("asyncio").error("failure in the event loop", exc_info=failure)


def _second_signal_kills(loop: asyncio.AbstractEventLoop) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError, RuntimeError):
            loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


class Events:
    """JSON lines on stdout."""

    def listening(self, gateway: Gateway) -> None:
        """Once everything listens."""
        doors: list[JSON] = [
            {"name": door.name, "host": door.host, "port": door.port, "url": door.url, "tls": door.tls}
            for door in gateway.doors[:-1]
        ]
        admin = gateway.doors[-1]
        event: Object = {"event": "listening", "listeners": doors, "admin": {"host": admin.host, "port": admin.port}}
        if gateway.first_key is not None:
            event["first_key"] = gateway.first_key
        _print(json.dumps(event))

    def demo(self, gateway: Gateway) -> None:
        """Once the tiny model answers, or failed to start."""
        failure = gateway.fleet.demo_failure
        event: Object = {"event": "demo", "ready": not failure, "model": "tiny"}
        _print(json.dumps({**event, "why": failure} if failure else event))

    def draining(self) -> None:
        """Once told to stop."""
        _print(json.dumps({"event": "draining"}))


class Words:
    """For people."""

    def listening(self, gateway: Gateway) -> None:
        """Once everything listens."""
        for door in gateway.doors[:-1]:
            how = ", WITHOUT TLS: keys and prompts can be read on its networks" if door.exposed else ""
            _print(f"llm-gateway listens on {door.url} (listener `{door.name}`{how})")
        _print(f"health and readiness:  {gateway.doors[-1].url}/readyz")
        if any(door.tls for door in gateway.doors):
            _print("its clients need the certificate authority:  llm-gateway ca export ca.pem   (docs/exposure.md)")
        if gateway.first_key is not None:
            _print(f"\nthe first key, shown only now:\n\n  {gateway.first_key}\n")
            _print("make more with:  llm-gateway keys create NAME")
        else:
            _print("a key for each caller:  llm-gateway keys create NAME   (they are shown once; see `keys list`)")
        if gateway.fleet.demo is not None:
            _print("\nthe tiny model is starting ...")
        elif not gateway.fleet.demo_failure:
            _print(f"\ntry it:\n\n{_curl(gateway, 'MODEL')}\n\nmodels: GET {gateway.doors[0].url}/v1/models")

    def demo(self, gateway: Gateway) -> None:
        """Once the tiny model answers, or failed to start."""
        if gateway.fleet.demo_failure:
            _print(f"\nthe tiny model does not run: {gateway.fleet.demo_failure}")
        else:
            _print(f"\nthe tiny model answers; paste this into another terminal:\n\n{_curl(gateway, 'tiny')}\n")

    def draining(self) -> None:
        """Once told to stop."""
        _print("\nstopping: running answers may finish; press Ctrl-C again to cut them")


def _curl(gateway: Gateway, model: str) -> str:
    key = gateway.first_key or "$LLM_GATEWAY_KEY"
    body = json.dumps(
        {"model": model, "stream": True, "messages": [{"role": "user", "content": "What is llm-gateway?"}]}
    )
    trust = "--cacert ca.pem " if gateway.doors[0].tls else ""
    return (
        f"  curl -N {trust}{gateway.doors[0].url}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        f"    -d '{body}'"
    )


def _print(text: str) -> None:
    print(text, flush=True)
