"""status, history, explain, decisions."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Callable

from edge.cli.policy.printing import moment, print_json, print_table, short
from edge.cli.policy.trying import OK, since
from edge.identity.state import state_home
from edge.policy.lifecycle import PolicyLifecycle
from edge.policy.lifecycle_refs import ACTIVE
from edge.policy.lifecycle_types import errors
from edge.policy.source import Origin
from observability.captures.log import CAPTURES
from observability.captures.reader import find
from policies.json import JSON, as_object, as_str
from policies.lifecycle.explain import explanation_document, render_explanation
from policies.lifecycle.export import event
from policies.lifecycle.text import clean, words
from policies.names import canonical
from policies.record import Record

_LABELS = {"app": "llm-gateway"}
_ORIGINS = {
    Origin.FOLDER: "from the folder policy.dir",
    Origin.APPLIED: "applied",
    Origin.DEFAULT: "the gateway's default policy",
}


async def status(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """What is in force."""
    found = await lifecycle.status()
    policy = found.in_force
    # What lies in a folder is what is meant to be in force; what was applied has passed its check.
    wrong = errors(await lifecycle.check(ACTIVE)) if policy.origin is Origin.FOLDER else []
    if args.json:
        print_json({**found.document(), "problems": [*wrong]})
        return OK
    print(f"in force   {short(policy.bundle.revision)}, {_ORIGINS[policy.origin]}")
    if wrong:
        print(
            f"           NOT taken over: {wrong[0]}; a running gateway keeps its last good policy: see `policy check`"
        )
    if policy.bundle.revision != policy.own.revision:
        print(f"           {short(policy.own.revision)} as written; the configuration adds data")
    if found.head is not None and policy.origin is not Origin.FOLDER:
        head = found.head
        print(f"since      {moment(head.at)}, by {clean(head.author)}: {clean(head.note) or '-'}")
    if found.shadow is not None:
        compared = words(found.shadow.counters.get("compared", 0))
        print(f"shadow     {short(found.shadow.bundle.revision)}, {compared} decisions compared")
    log = found.log
    if log.oldest is not None:
        lost = f"; {log.dropped} are known to be lost" if log.dropped else ""
        print(f"decisions  {log.records} recorded since {moment(log.oldest)}, {log.size >> 10} KiB{lost}")
    if found.instances:
        print()
        rows = [
            (
                each.id,
                short(each.revision),
                "yes" if each.revision == policy.bundle.revision else "no",
                moment(each.seen_at),
                f"{each.code} {each.message}".strip(),
            )
            for each in found.instances
        ]
        print_table([("OPA", "REVISION", "CURRENT", "SEEN", "PROBLEM"), *rows])
    return OK


async def history(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """What was in force."""
    entries = await lifecycle.history(args.limit)
    if args.json:
        print_json([entry.document() for entry in entries])
    elif entries:
        rows = [(str(e.seq), moment(e.at), e.action.value, short(e.revision), e.author, e.note) for e in entries]
        print_table([("CHANGE", "AT", "ACTION", "REVISION", "AUTHOR", "NOTE"), *rows])
    else:
        print("Nothing was ever applied: the default policy is in force.")
    return OK


async def explain(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Why a request got its answer."""
    found = await lifecycle.explain(args.request)
    captured = await asyncio.to_thread(find, state_home(os.environ) / CAPTURES, args.request)
    kept = None if captured is None else as_str(captured.get("capture"))
    if args.json:
        print_json({**explanation_document(found), "capture": kept})
        return OK
    print(render_explanation(found), end="")
    if kept is not None:
        print(f"\ncaptured: {clean(kept)}; see it with `llm-gateway capture show {clean(args.request)}`")
    return OK


async def decisions(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """The latest decisions."""
    found = await lifecycle.decisions(_wanted(args), most=args.limit, since=since(args), fleet=args.fleet)
    if args.export:
        for record in found:
            print(json.dumps(event(record, _LABELS), ensure_ascii=False))
    elif args.json:
        print_json([record.document() for record in found])
    elif found:
        print_table([("AT", "REQUEST", "CALLER", "OPERATION", "MODEL", "VERDICT", "BY", "US"), *map(_row, found)])
    else:
        print("No such decision is recorded.")
    return OK


def _wanted(args: argparse.Namespace) -> Callable[[Record], bool]:
    model = None if args.model is None else canonical(args.model)

    def wanted(record: Record) -> bool:
        if (args.denied and record.allow) or (args.allowed and not record.allow):
            return False
        caller, key = as_object(record.input.get("caller")), as_object(record.input.get("key"))
        if args.caller is not None and args.caller not in (caller.get("id"), key.get("id"), key.get("name")):
            return False
        asked = as_object(record.input.get("model"))
        return model is None or model in (asked.get("resolved"), canonical(as_str(asked.get("requested"))))

    return wanted


def _row(record: Record) -> tuple[str, ...]:
    asked = as_object(record.input.get("model"))
    codes: JSON = [as_object(why).get("code") for why in _reasons(record)]
    verdict = "allow" if record.allow else f"deny {record.reason}"
    if codes and not record.allow:
        verdict += f" ({words(codes)})"
    return (
        moment(record.at),
        record.id,
        words(as_object(record.input.get("caller")).get("id")),
        words(record.input.get("operation")),
        words(asked.get("resolved") or asked.get("requested")),
        verdict,
        record.engine,
        str(record.took_us),
    )


def _reasons(record: Record) -> list[JSON]:
    reasons = as_object(record.result).get("reasons")
    return reasons if isinstance(reasons, list) else []
