"""`llm-gateway ca show | export | trust | rotate`: the authority behind `tls: auto`.

Works on the state folder, whether or not a gateway runs. Exit codes: 0 done, 1 there is none or a platform's command
failed, 2 wrong usage, or state that cannot be used.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.cli.arguments import SubParsers
from policies.json import JSON, Object

if TYPE_CHECKING:
    from edge.config.settings import Listener
    from edge.tls.authority import Authority
    from edge.tls.names import Bounds
    from edge.tls.store import Store

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2


def add_parser(subparsers: SubParsers) -> None:
    """Add `ca` and its subcommands; `args.run(args)` runs the one chosen and returns the exit code."""
    parser = subparsers.add_parser("ca", help="the certificate authority behind `tls: auto`")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.add_argument("--config", metavar="FILE", help="instead of $LLM_GATEWAY_CONFIG or ./gateway.yaml")
        return made

    show = action("show", "show the authority, what it may sign for, and the listeners' certificates")
    show.add_argument("--json", action="store_true", help="print JSON for scripts")
    export = action("export", "write the authority's certificate (PEM) for clients; it is no secret")
    export.add_argument("file", metavar="FILE", nargs="?", type=Path, help="instead of standard output")
    trust = action("trust", "print the commands with which this machine trusts the authority; --yes runs them")
    trust.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a certificate exported elsewhere")
    trust.add_argument("--remove", action="store_true", help="the other way round: trust it no more")
    trust.add_argument("--yes", action="store_true", help="run the commands")
    rotate = action("rotate", "make a new authority; clients have to trust it anew")
    rotate.add_argument("--yes", action="store_true", required=True, help="really: no client trusts what it signs yet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` asks. Raises ConfigError, StateError, TlsError."""
    from edge.config.load import load
    from edge.identity.state import state_home
    from edge.tls.store import Store

    store = Store(state_home(os.environ))
    if args.action == "trust" and args.file is not None:
        return _trust(args.file.absolute(), args)
    listeners = load(args.config, os.environ).listeners
    if args.action == "rotate":
        return _rotate(store, listeners)
    authority = store.authority()
    if authority is None:
        print(
            f"llm-gateway: there is no certificate authority in {store.folder} yet: "
            "the first start with a listener that has `tls: auto` makes one",
            file=sys.stderr,
        )
        return FAILED
    if args.action == "show":
        return _show(store, authority, listeners, as_json=args.json)
    if args.action == "export":
        return _export(authority, args.file)
    with tempfile.NamedTemporaryFile(prefix="llm-gateway-ca-", suffix=".crt") as file:
        file.write(authority.certificate_pem)
        file.flush()
        return _trust(Path(file.name), args)


def _show(store: Store, authority: Authority, listeners: Iterable[Listener], *, as_json: bool) -> int:
    certificate = authority.certificate
    bounds: list[JSON] = list(_written(authority.bounds))
    document: Object = {
        "subject": certificate.subject.rfc4514_string(),
        "fingerprint": authority.fingerprint,
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "permitted": bounds,
        "file": str(store.file),
        "listeners": [_listener(store, each) for each in listeners if each.tls == "auto"],
    }
    print(json.dumps(document, indent=2) if as_json else _words(document))
    return DONE


def _written(bounds: Bounds) -> list[str]:
    return [*bounds.dns, *map(str, bounds.ranges)]


def _listener(store: Store, listener: Listener) -> Object:
    leaf = store.leaf(listener.name)
    if leaf is None:
        return {"name": listener.name, "not_after": None, "names": []}
    names: list[JSON] = [*leaf.names.dns, *map(str, leaf.names.addresses)]
    return {"name": listener.name, "not_after": leaf.until.isoformat(), "names": names}


def _words(document: Object) -> str:
    lines = [
        f"authority    {document['subject']}",
        f"SHA-256      {document['fingerprint']}",
        f"valid        {document['not_before']} to {document['not_after']}",
        f"may sign     {_joined(document['permitted'])}",
    ]
    listeners = document["listeners"]
    for each in listeners if isinstance(listeners, list) else []:
        if isinstance(each, dict):
            state = f"until {each['not_after']}, for {_joined(each['names'])}" if each["not_after"] else "not made yet"
            lines.append(f"{'`' + str(each['name']) + '`':12} {state}")
    return "\n".join(lines)


def _joined(names: JSON) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else ""


def _export(authority: Authority, file: Path | None) -> int:
    if file is None:
        sys.stdout.write(authority.certificate_pem.decode())
        return DONE
    try:
        file.write_bytes(authority.certificate_pem)
    except OSError as error:
        print(f"llm-gateway: cannot write {file}: {error.strerror or type(error).__name__}", file=sys.stderr)
        return FAILED
    print(f"{file}: SHA-256 {authority.fingerprint}", file=sys.stderr)
    return DONE


def _rotate(store: Store, listeners: tuple[Listener, ...]) -> int:
    from edge.tls.opening import rotate_authority
    from edge.tls.store import utc

    authority = rotate_authority(store, listeners, utc(time.time()))
    print(f"a new certificate authority, SHA-256 {authority.fingerprint}")
    print("running gateways change to it within seconds; clients trust it once they have:  llm-gateway ca export")
    return DONE


def _trust(file: Path, args: argparse.Namespace) -> int:
    from edge.tls.trust import PLACES, forgetting, platform_of, trusting

    fingerprint = _fingerprint(file)
    if fingerprint is None:
        print(f"llm-gateway: {file} cannot be read as a certificate in PEM", file=sys.stderr)
        return USAGE
    platform = platform_of(sys.platform, [folder for folder in PLACES.values() if Path(folder).is_dir()])
    if platform is None:
        print("llm-gateway: no known place for authorities here: see docs/exposure.md", file=sys.stderr)
        return FAILED
    is_root = os.geteuid() == 0
    plan = (forgetting if args.remove else trusting)(platform, file, fingerprint)
    if not args.yes:
        shown = (forgetting if args.remove else trusting)(platform, args.file or Path("ca.pem"), fingerprint)
        print(f"# {platform.value}; SHA-256 {fingerprint}")
        if args.file is None:
            print("llm-gateway ca export ca.pem")
        print("\n".join(shown.lines(is_root=is_root)))
        return DONE
    if plan.root and not is_root:
        print("llm-gateway: only root may do that here; without --yes the commands are printed", file=sys.stderr)
        return FAILED
    return _run(plan.commands)


def _run(commands: Iterable[tuple[str, ...]]) -> int:
    for command in commands:
        try:
            subprocess.run(command, check=True)  # noqa: S603 - the platform's own tools, constant but for one path
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"llm-gateway: {command[0]} failed: {error}", file=sys.stderr)
            return FAILED
    return DONE


def _fingerprint(file: Path) -> str | None:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        return x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(SHA256()).hex(":").upper()
    except (OSError, ValueError):
        return None
