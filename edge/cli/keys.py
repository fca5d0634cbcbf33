"""`llm-gateway keys ...`: create, list, show, update, rotate, revoke, delete and check keys, make secrets for files.

Works on the database directly, whether or not a gateway runs: one that does sees the change within a second. Exit
codes: 0 done, 1 failed, 2 wrong usage or unusable state. A key is printed once, by `create` and `rotate`, and only to
standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from edge.cli.arguments import SubParsers, checked
from edge.identity import grant as checks
from edge.identity.duration import seconds, spell
from edge.identity.grant import Grant
from edge.identity.record import KeyRecord, document, stamp
from edge.identity.secret_file import SecretFileError, read_token
from edge.identity.state import StateError
from edge.identity.token import Token, mint, parse
from policies.json import JSON

if TYPE_CHECKING:
    from edge.identity.store.store import KeyStore

_T = TypeVar("_T")

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
_DEFAULT_OVERLAP: Final = "24h"  # facts/security.md 2.1: long enough to reach every container's next deployment
_NEVER: Final = 0
_GATEWAY: Final = "http://127.0.0.1:8080"


def add_parser(subparsers: SubParsers) -> None:
    """Add `keys` and its subcommands; `args.action` names the one chosen."""
    keys = subparsers.add_parser("keys", help="make and manage the callers' keys")
    actions = keys.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")
        return parser

    create = action("create", "make a key and print it once")
    create.add_argument("name", metavar="NAME", type=checked(checks.label), help="what to call it")
    _grant_options(create)
    action("list", "list all keys")
    show = action("show", "show one key and what it may do")
    update = action("update", "change what a key may do; an option given replaces its old value")
    rotate = action("rotate", "give a key a new secret; the id and all settings stay")
    revoke = action("revoke", "end a key for good, and cut its running streams")
    delete = action("delete", "revoke a key and forget it")
    for parser in (show, update, rotate, revoke, delete):
        parser.add_argument("key", metavar="ID|NAME", help="its id, or its name if no other key has that")
    update.add_argument("--name", type=checked(checks.label), help="a new name")
    _grant_options(update)
    rotate.add_argument(
        "--overlap",
        type=checked(seconds),
        default=_DEFAULT_OVERLAP,
        metavar="SPAN",
        help="how long the old secret goes on working (default 24h; 0 cuts running streams at once)",
    )
    secret = action("secret", "make a key for a secret file of the configuration, offline; see docs/keys.md")
    secret.add_argument(
        "--like",
        metavar="FILE",
        type=Path,
        help="with the id of the key in FILE: a new secret of the same key, whose limits and usage go on",
    )
    check = action("check", "tell offline whether something is shaped like a key (checksum only)")
    check.add_argument("token", metavar="TOKEN", help="the key, or - to read it from standard input")


def run(
    args: argparse.Namespace,
    home: Path,
    database_url: Callable[[], str | None],
    presets: Callable[[], Collection[str]],
) -> int:
    """Do what `args` (from `add_parser`) asks; returns the exit code. `database_url` gives None for gateway.db in
    `home`; it is asked only by actions that need the database: a configuration that names a secret file cannot be used
    before the file is there. `presets` are the names of those that a key can be bound to."""
    if args.action in _OFFLINE:
        return _OFFLINE[args.action](args)
    wanted = getattr(args, "preset", None)
    if wanted not in (None, "none") and wanted not in (known := presets()):
        there = ", ".join(sorted(known))
        return _complain(
            f"the configuration ($LLM_GATEWAY_CONFIG or ./gateway.yaml) has no preset '{wanted}', only: {there}", USAGE
        )
    # Lazy: SQLAlchemy costs 200 ms, which --help, usage errors and check need not pay.
    from edge.identity.store.opening import open_keys
    from edge.identity.store.store import KeyEndedError, KeyManagedError, KeyNotFoundError

    try:
        store = open_keys(home, database_url()).store
        try:
            return _ACTIONS[args.action](args, store)
        finally:
            store.close()
    except StateError as error:
        return _complain(str(error), USAGE)
    except (KeyNotFoundError, KeyEndedError, KeyManagedError) as error:
        return _complain(str(error), FAILED)
    except ValueError as error:  # a grant whose parts do not fit together
        return _complain(str(error), USAGE)


def _create(args: argparse.Namespace, store: KeyStore) -> int:
    record, token = store.create(_granted(Grant(name=args.name), args))
    _print_secret(args, record, token, f"Key '{record.grant.name}' is made. This is the only time it is shown:")
    return DONE


def _list(args: argparse.Namespace, store: KeyStore) -> int:
    now = time.time()
    records = store.list()
    if args.json:
        _print_json([document(record, now) for record in records])
    elif records:
        heading = ("ID", "NAME", "OWNER", "STATUS", "EXPIRES", "MODELS", "SCOPES")
        _print_table([heading, *(_row(record, now) for record in records)])
    else:
        print("There are no keys yet. Make one: llm-gateway keys create NAME")
    return DONE


def _show(args: argparse.Namespace, store: KeyStore) -> int:
    _print_record(args, store.show(args.key))
    return DONE


def _update(args: argparse.Namespace, store: KeyStore) -> int:
    if all(getattr(args, name) is None for name in ("name", *_OPTIONS)):
        return _complain("nothing to change: give at least one option, see keys update --help", USAGE)
    _print_record(args, store.update(args.key, lambda grant: _granted(grant, args)))
    return DONE


def _rotate(args: argparse.Namespace, store: KeyStore) -> int:
    record, token = store.rotate(args.key, args.overlap)
    old = f"goes on working for {spell(args.overlap)}" if args.overlap else "has stopped working"
    _print_secret(
        args, record, token, f"Key '{record.grant.name}' has a new secret, shown only now; the old one {old}:"
    )
    return DONE


def _revoke(args: argparse.Namespace, store: KeyStore) -> int:
    record = store.revoke(args.key)
    if args.json:
        _print_json(document(record, time.time()))
    else:
        print(f"Key '{record.grant.name}' ({record.id}) is revoked; a running gateway refuses it within a second.")
    return DONE


def _delete(args: argparse.Namespace, store: KeyStore) -> int:
    record = store.delete(args.key)
    if args.json:
        _print_json({"id": record.id, "deleted": True})
    else:
        print(f"Key '{record.grant.name}' ({record.id}) is deleted; a running gateway refuses it within a second.")
    return DONE


def _check(args: argparse.Namespace) -> int:
    # Not echoed: a typing error away from a key is still most of a key.
    text = sys.stdin.readline(4096) if args.token == "-" else args.token  # noqa: S105 - a dash is no password
    token = parse(text.strip())
    if args.json:
        _print_json({"well_formed": token is not None, "id": token.id if token else None})
    elif token:
        print(f"Well-formed; its id is {token.id}. Whether it is valid only the gateway knows.")
    else:
        print("Not a key: wrong length, alphabet or checksum. Was it copied whole?")
    return DONE if token else FAILED


def _secret(args: argparse.Namespace) -> int:
    key_id = None
    if args.like is not None:
        try:
            key_id = read_token(args.like).id
        except SecretFileError as error:
            return _complain(f"{args.like}: {error}", USAGE)
    token = mint(os.urandom, key_id=key_id)
    if args.json:
        _print_json({"id": token.id, "key": token.text})
    else:
        print(token.text)
    return DONE


_OFFLINE: Final[dict[str, Callable[[argparse.Namespace], int]]] = {"check": _check, "secret": _secret}
_ACTIONS: Final[dict[str, Callable[[argparse.Namespace, KeyStore], int]]] = {
    "create": _create,
    "list": _list,
    "show": _show,
    "update": _update,
    "rotate": _rotate,
    "revoke": _revoke,
    "delete": _delete,
}

_COUNTS: Final = ("rpm", "tpm", "tpd", "concurrency")
_LISTS: Final = ("groups", "scopes", "models", "networks", "listeners")
_OPTIONS: Final = ("owner", "device", *_LISTS, *_COUNTS, "priority", "preset", "expires")


def _grant_options(parser: argparse.ArgumentParser) -> None:
    """The options of create and update; each is None when not given, and lists replace what was there."""

    def option(flag: str, kind: Callable[[str], object], text: str, metavar: str) -> None:
        parser.add_argument(flag, type=checked(kind), metavar=metavar, help=text)

    def many(flag: str, dest: str, kind: Callable[[str], object], text: str, metavar: str) -> None:
        parser.add_argument(flag, dest=dest, type=checked(kind), action="append", metavar=metavar, help=text)

    option("--owner", checks.label, "whom the key acts for (default: its name)", "OWNER")
    option(
        "--device",
        _or("none", checks.label),
        "the machine it was given to, for logs and traces; 'none' clears",
        "DEVICE",
    )
    many("--group", "groups", _or("none", checks.label), "a group; may be repeated; 'none' clears", "G")
    many("--scope", "scopes", checks.scope, "default: inference and models:read; may be repeated", "S")
    many("--model", "models", checks.glob, "models it may use, default *; may be repeated", "GLOB")
    many("--network", "networks", _or("any", checks.network), "only from there; may be repeated; 'any' clears", "CIDR")
    many("--listener", "listeners", _or("any", checks.word), "only by that door; may be repeated; 'any' clears", "NAME")
    option("--rpm", _or("none", checks.count), "requests per minute; 'none' clears", "N")
    option("--tpm", _or("none", checks.count), "tokens per minute; 'none' clears", "N")
    option("--tpd", _or("none", checks.count), "tokens per day; 'none' clears", "N")
    option(
        "--concurrency",
        _or("none", checks.count),
        "requests at once, where that is less than everybody's; 'none' clears",
        "N",
    )
    option(
        "--priority",
        _or("none", checks.word),
        "band in the queue of a busy engine: interactive, normal or batch; 'none' clears",
        "P",
    )
    option(
        "--preset",
        _or("none", checks.preset),
        "the preset whose defaults and bounds its requests have (docs/presets.md); 'none' clears",
        "PRESET",
    )
    option("--expires", _expiry, "from now, as 90m, 12h or 30d; 'never' clears", "SPAN")


def _granted(grant: Grant, args: argparse.Namespace) -> Grant:
    """`grant` with every option that was given. ValueError if 'none' or 'any' stands beside other values."""
    quota = grant.quota
    for name in (*_COUNTS, "priority"):
        given = getattr(args, name)
        if given is not None:
            quota = replace(quota, **{name: None if given == "none" else given})
    expires = grant.expires_at
    if args.expires is not None:
        expires = None if args.expires == _NEVER else time.time() + args.expires
    return Grant(
        name=args.name or grant.name,
        owner=args.owner or grant.owner,
        groups=_listed(grant.groups, args.groups, "none"),
        scopes=_listed(grant.scopes, args.scopes),
        models=_listed(grant.models, args.models),
        networks=_listed(grant.networks, args.networks, "any"),
        listeners=_listed(grant.listeners, args.listeners, "any"),
        quota=quota,
        expires_at=expires,
        device=_worded(grant.device, args.device),
        preset=_worded(grant.preset, args.preset),
    )


def _listed(old: tuple[_T, ...], given: Sequence[_T | str] | None, clear: str | None = None) -> tuple[_T, ...]:
    if given is None:
        return old
    if clear is not None and clear in given:
        if len(given) > 1:
            raise ValueError(f"'{clear}' stands alone, not beside other values")
        return ()
    return tuple(dict.fromkeys(given))  # type: ignore[arg-type]  # argparse gave every value its type; only `clear` is a bare str


def _worded(old: str, given: str | None) -> str:
    return old if given is None else "" if given == "none" else given


def _or(word: str, kind: Callable[[str], _T]) -> Callable[[str], _T | str]:
    return lambda text: word if text == word else kind(text)


def _expiry(text: str) -> int:
    if text == "never":
        return _NEVER
    span = seconds(text)
    if span <= 0:
        raise ValueError("a key cannot be born expired: write 90m, 12h, 30d or never")
    return span


def _row(record: KeyRecord, now: float) -> tuple[str, ...]:
    grant = record.grant
    ends = grant.expires_at
    expires = "never" if ends is None else f"in {spell(ends - now)}" if ends > now else str(stamp(ends))
    return (
        record.id,
        grant.name,
        grant.owner or grant.name,
        record.status(now).value,
        expires,
        ",".join(grant.models),
        ",".join(grant.scopes),
    )


def _print_secret(args: argparse.Namespace, record: KeyRecord, token: Token, heading: str) -> None:
    if args.json:
        _print_json({"id": record.id, "key": token.text, **document(record, time.time())})
        return
    print(f"{heading}\n\n    {token.text}\n\nIts id, for logs and for keys show|update|rotate|revoke, is {record.id}.")
    print(f"Try it:\n\n    curl -H 'Authorization: Bearer {token.text}' {_GATEWAY}/v1/models")


def _print_record(args: argparse.Namespace, record: KeyRecord) -> None:
    facts = document(record, time.time())
    if args.json:
        _print_json(facts)
        return
    secrets = facts.pop("secrets")
    facts["secrets"] = f"{len(secrets)} in use" if isinstance(secrets, list) else ""
    _print_table([(name.replace("_", " "), _text(name, value)) for name, value in facts.items()])


_UNSAID: Final = {"device": "not said", "preset": "none"}


def _text(name: str, value: JSON) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or ("anywhere" if name in ("networks", "listeners") else "none")
    if value is None:
        return "never" if name.endswith("_at") else "no limit" if name in _COUNTS else _UNSAID.get(name, "default")
    return str(value)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_json(value: Mapping[str, JSON] | Sequence[Mapping[str, JSON]]) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _complain(text: str, code: int) -> int:
    print(f"llm-gateway keys: {text}", file=sys.stderr)
    return code
