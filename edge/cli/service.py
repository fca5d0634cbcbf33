"""`llm-gateway service install | uninstall | status`: the gateway runs whenever its user does.

Exit codes: 0 done (status: it runs), 1 failed (status: it does not run), 2 wrong usage or bad configuration.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.cli.arguments import SubParsers
from policies.json import Object

if TYPE_CHECKING:
    from edge.config.settings import Settings
    from edge.service.manager import Manager
    from edge.service.plan import Plan, Status

DONE: Final = 0
FAILED: Final = 1
_SPARE_S: Final = 15
"""Seconds to stop beyond the longest drain: ledger, telemetry, engines."""


def add_parser(subparsers: SubParsers) -> None:
    """Add `service` and its subcommands; `args.run(args)` runs the one chosen and returns the exit code."""
    parser = subparsers.add_parser("service", help="run the gateway as a service of this user (systemd, launchd)")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    install = actions.add_parser("install", help="install or update the service, and start it")
    install.add_argument("--config", metavar="FILE", help="instead of $LLM_GATEWAY_CONFIG or ./gateway.yaml")
    install.add_argument("--log", metavar="FILE", type=Path, help="instead of logs/gateway.log in the state folder")
    install.add_argument("--print", action="store_true", dest="dry", help="print what would be written, and do nothing")
    uninstall = actions.add_parser("uninstall", help="stop the service and remove it; keys and accounts stay")
    status = actions.add_parser("status", help="tell whether it is installed and runs")
    for action in (install, uninstall, status):
        action.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` asks. Raises ConfigError, StateError."""
    from edge.service.manager import manager_of
    from edge.service.plan import ServiceError

    manager = manager_of(sys.platform, os.environ, Path.home())
    try:
        if args.action == "install":
            return _install(args, manager)
        if args.action == "uninstall":
            return _uninstall(args, manager)
        return _status(manager.status(), as_json=args.json)
    except ServiceError as error:
        print(f"llm-gateway: {error}", file=sys.stderr)
        return FAILED


def _install(args: argparse.Namespace, manager: Manager) -> int:
    from edge.config.load import load, locate
    from edge.identity.state import open_home, state_home

    found = locate(args.config, os.environ)
    config, home = found.absolute() if found else None, state_home(os.environ)
    log = (args.log or home / "logs" / "gateway.log").absolute()
    # With no more than the service will have: ${NAME} of this terminal will not be there.
    known = {"HOME": str(Path.home()), "PATH": os.environ.get("PATH", os.defpath), "LLM_GATEWAY_HOME": str(home)}
    settings = load(config, known)
    plan = _plan(settings, home, config, log, known["PATH"])
    if args.dry:
        sys.stdout.write(manager.render(plan).decode())
        return DONE
    open_home(home)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A service has nobody to show it to.
    key = _first_key(settings, home)
    if key is not None and not args.json:
        print(f"the first key, shown only now:\n\n  {key}\n")
    try:
        manager.install(plan)
    finally:
        if args.json:
            event: Object = {"file": str(manager.file), "log": str(log), "config": str(config) if config else None}
            print(json.dumps(event if key is None else {**event, "first_key": key}))
    if not args.json:
        print(f"installed and started: {manager.file}\nits log: {log}")
        if sys.platform != "darwin":
            print(
                "it runs while you are logged in; from the start of the machine on:  sudo loginctl enable-linger $USER"
            )
    return DONE


def _plan(settings: Settings, home: Path, config: Path | None, log: Path, path: str) -> Plan:
    from edge.service.plan import Plan

    stop_s = int(max(each.limits.drain_s + each.limits.cut_s for each in settings.listeners)) + _SPARE_S
    script = Path(sys.argv[0]).absolute()
    if script.name == "llm-gateway":
        return Plan((str(script),), home, config, log, path, stop_s)
    return Plan((sys.executable, "-m", "edge"), home, config, log, path, stop_s, packages=Path(__file__).parents[2])


def _first_key(settings: Settings, home: Path) -> str | None:
    from edge.gateway import first_key
    from edge.identity.store.opening import open_keys

    keys = open_keys(home, settings.stores.database)
    try:
        return first_key(keys)
    finally:
        keys.store.close()


def _uninstall(args: argparse.Namespace, manager: Manager) -> int:
    removed = manager.uninstall()
    if args.json:
        print(json.dumps({"file": str(manager.file), "removed": removed}))
    else:
        print(f"stopped and removed: {manager.file}" if removed else f"not installed: {manager.file}")
    return DONE


def _status(status: Status, *, as_json: bool) -> int:
    if as_json:
        document: Object = {
            "installed": status.installed,
            "running": status.running,
            "state": status.state,
            "pid": status.pid,
            "last_exit": status.last_exit,
            "file": str(status.file),
        }
        print(json.dumps(document))
    else:
        words = ["installed" if status.installed else "not installed", status.state]
        words += [f"pid {status.pid}"] if status.pid else []
        words += [f"last exit code {status.last_exit}"] if status.last_exit is not None else []
        print(", ".join(words))
    return DONE if status.running else FAILED
