"""apply, rollback, shadow, draft."""

from __future__ import annotations

import argparse
import getpass
import sys

from edge.cli.policy.printing import Meter, counted, moment, print_json, print_table, short
from edge.cli.policy.trying import OK, since
from edge.policy.lifecycle import PolicyLifecycle
from edge.policy.lifecycle_types import Preview, shadow_document
from edge.policy.store_types import Entry, StoredShadow
from policies.json import Object, as_list, as_object
from policies.lifecycle.diff import difference_document, render_difference
from policies.lifecycle.report import render, report_document
from policies.lifecycle.text import clean, words


async def apply(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Put a policy in force."""
    meter = Meter()
    try:
        preview = await lifecycle.preview(args.ref, limit=args.limit, since=since(args), progress=meter)
    finally:
        meter.end()
    return await _commit(args, lifecycle, preview)


async def rollback(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Put an earlier one in force again."""
    meter = Meter()
    try:
        preview = await lifecycle.preview_rollback(args.ref, progress=meter)
    finally:
        meter.end()
    return await _commit(args, lifecycle, preview)


async def _commit(args: argparse.Namespace, lifecycle: PolicyLifecycle, preview: Preview) -> int:
    """Say what changes, then do it. What is refused was shown before, also to scripts: on standard error."""
    _show(preview, to_errors=args.json)
    entry = await lifecycle.commit(
        preview, author=_author(args), note=args.note, confirm_new_access=args.confirm_new_access
    )
    if args.json:
        changed = not preview.unchanged
        document: Object = {
            **entry.document(),
            "changed": changed,
            "difference": difference_document(preview.difference),
        }
        print_json({**document, "replay": report_document(preview.replay)})
    elif preview.unchanged:
        print(f"Nothing to do: {short(entry.revision)} is in force already.")
    else:
        print(_done(entry))
    return OK


def _show(preview: Preview, *, to_errors: bool) -> None:
    lines = [render_difference(preview.difference).rstrip()]
    if preview.tests is not None:
        passed = sum(case.passed for case in preview.tests.cases)
        lines.append(f"check: passed; tests: {passed} passed, {preview.tests.coverage:.0%} of the lines covered")
    else:
        lines.append("check: passed")
    if preview.replay.compared:
        lines.append(render(preview.replay).rstrip())
    else:
        lines.append("There are no recorded decisions to compare with.")
    print("\n".join(lines), file=sys.stderr if to_errors else sys.stdout)


def _done(entry: Entry) -> str:
    back = f"llm-gateway policy rollback {entry.previous[:12] if entry.previous else ''}".rstrip()
    return (
        f"Policy {short(entry.revision)} is in force (change {entry.seq}); a running gateway follows within a second.\n"
        f"To take it back: {back}"
    )


def _author(args: argparse.Namespace) -> str:
    if args.author:
        return str(args.author)
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


async def shadow(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """The candidate beside the live policy."""
    found: StoredShadow | None
    if args.kind == "start":
        found = await lifecycle.start_shadow(args.ref, sample=args.sample, author=_author(args))
    elif args.kind == "stop":
        found = await lifecycle.stop_shadow()
    else:
        found = await lifecycle.shadow()
    if args.json:
        print_json({"shadow": shadow_document(found)})
    elif found is None:
        print("No policy runs as a shadow. Start one: llm-gateway policy shadow start REF")
    elif args.kind == "start":
        print(f"{short(found.bundle.revision)} decides beside the live policy from now on, unheard.")
        print("What it would decide otherwise: llm-gateway policy shadow status")
    else:
        _print_shadow(found, over=args.kind == "stop")
    return OK


def _print_shadow(found: StoredShadow, *, over: bool) -> None:
    counters = found.counters
    verb, begun = "ran" if over else "runs", moment(found.started_at)
    print(f"{short(found.bundle.revision)} {verb} since {begun}, by {clean(found.author)},")
    print(f"on {found.sample:.0%} of the requests: {words(counters.get('compared', 0))} compared, ", end="")
    print(f"{words(counters.get('same', 0))} the same")
    for name in ("errors", "unanswered", "dropped"):
        if counters.get(name):
            print(f"{name}: {words(counters.get(name))}")
    for kind, codes in as_object(counters.get("by")).items():
        print(f"{clean(kind)}: {words(as_object(counters.get('flips')).get(kind))} ({words(codes)})")
    examples = [as_object(example) for example in as_list(counters.get("examples"))]
    if examples:
        columns = ("id", "kind", "caller", "operation", "model", "before", "after")
        rows = [tuple(words(example.get(column)) for column in columns) for example in examples]
        print_table([tuple(column.upper() for column in columns), *rows])


async def draft(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Policies that are not in force."""
    if args.kind == "list":
        drafts = await lifecycle.drafts()
        if args.json:
            print_json([each.document() for each in drafts])
        elif drafts:
            rows = [(d.name, short(d.bundle.revision), moment(d.updated_at), d.author) for d in drafts]
            print_table([("NAME", "REVISION", "UPDATED", "AUTHOR"), *rows])
        else:
            print("There are no drafts. Keep one: llm-gateway policy draft save NAME ./DIR")
        return OK
    if args.kind == "save":
        own = (await lifecycle.candidate(args.ref)).own
        found = await lifecycle.save_draft(args.name, own, _author(args))
    elif args.kind == "delete":
        found = await lifecycle.delete_draft(args.name)
    else:
        found = await lifecycle.draft(args.name)
    if args.json:
        texts: Object = {
            "modules": {**found.bundle.modules},
            "tests": {**found.bundle.tests},
            "data": found.bundle.data,
        }
        print_json({**found.document(), **(texts if args.kind == "show" else {})})
    elif args.kind == "show":
        for name, text in sorted({**found.bundle.modules, **found.bundle.tests}.items()):
            print(f"# ---- {name}\n{_safe(text)}")
        print(f"# ---- data: {words(found.bundle.data)}")
    else:
        files = counted(len(found.bundle.modules) + len(found.bundle.tests), "file")
        done = "forgotten" if args.kind == "delete" else "kept"
        print(f"Draft '{found.name}' ({files}, revision {short(found.bundle.revision)}) is {done}.")
    return OK


def _safe(text: str) -> str:
    return "\n".join(clean(line.expandtabs(4), 1_000) for line in text.splitlines())
