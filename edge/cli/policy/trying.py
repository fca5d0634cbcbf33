"""init, check, test, eval, replay, diff, bundle: nothing here changes what is in force."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from edge.cli.policy.printing import Meter, counted, print_json, short
from edge.intake.strict_json import parse
from edge.policy.errors import PolicyToolError
from edge.policy.folder import write_folder
from edge.policy.folder_data import not_json
from edge.policy.lifecycle import PolicyLifecycle
from edge.policy.lifecycle_types import failures, inspection_document, place, tests_document
from policies.embedded.findings import Reads
from policies.errors import Refusal
from policies.json import Object
from policies.lifecycle.diff import difference_document, render_difference
from policies.lifecycle.report import Report, render, report_document
from policies.reasons import Reason
from policies.result import DecisionError, UnmetObligation, read_decision

OK: Final = 0
PROBLEMS: Final = 1
_MOST_INPUT: Final = 1 << 20
_README: Final = """# A policy of llm-gateway

    *.rego         package gateway.authz: `decision` is asked for every request (docs/policy.md says what with)
    *_test.rego    its tests: every rule `test_...` must hold
    data.json      `data.gwcfg`; grants of the configuration are added to it

    llm-gateway policy check .      does it compile, and what does it read?
    llm-gateway policy test . -v    do its tests pass?
    llm-gateway policy replay .     which recorded decisions would be others?
    llm-gateway policy apply . --note "why"
"""


async def init(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """A folder to start from."""
    candidate, folder = await lifecycle.candidate(args.ref), Path(args.folder)
    files = await asyncio.to_thread(write_folder, candidate.own, folder)
    readme = folder / "README.md"
    await asyncio.to_thread(readme.write_text, _README, encoding="utf-8")
    names = [str(file) for file in (*files, readme)]
    if args.json:
        print_json({"folder": str(folder), "revision": candidate.own.revision, "files": [*names]})
    else:
        print("\n".join(names))
        print(f"\nRevision {short(candidate.own.revision)}. Next: edit it, then llm-gateway policy check {folder}")
    return OK


async def check(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Compile and lint."""
    candidate, inspection = await lifecycle.candidate(args.ref), await lifecycle.check(args.ref)
    if args.json:
        print_json(inspection_document(candidate, inspection))
        return OK if inspection.ok else PROBLEMS
    for problem in inspection.problems:
        print(f"{problem.severity}: {place(problem)}")
    errors = sum(problem.severity == "error" for problem in inspection.problems)
    warnings = len(inspection.problems) - errors
    print(f"{short(candidate.own.revision)}: {counted(errors, 'error')}, {counted(warnings, 'warning')}")
    if inspection.ok:
        print(_read(inspection.reads))
    return OK if inspection.ok else PROBLEMS


def _read(reads: Reads) -> str:
    if reads.whole:
        return "It reads all of the input, so every request is asked anew."
    paths = ", ".join(".".join(("input", *path)) for path in reads.paths) or "nothing of the input"
    kept = "every request is asked anew" if reads.volatile else "answers to equal questions are kept"
    return f"It reads {paths}; {kept}."


async def test(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Run the tests."""
    candidate, report = await lifecycle.candidate(args.ref), await lifecycle.test(args.ref)
    failed = failures(report)
    code = PROBLEMS if failed else OK
    if args.json:
        print_json(tests_document(candidate, report))
        return code
    if args.verbose:
        for case in report.cases:
            print(f"{'pass' if case.passed else 'FAIL'}  {case.file}:{case.row}  {case.name}  ({case.took_us} us)")
        for file, row in report.uncovered:
            print(f"not covered: {file}:{row}")
    for line in failed:
        print(f"error: {line}")
    passed = sum(case.passed for case in report.cases)
    print(
        f"{short(candidate.own.revision)}: {passed} of {counted(len(report.cases), 'test')} passed, "
        f"{report.coverage:.0%} of the lines covered, the slowest took {report.slowest_us / 1000:.1f} ms"
    )
    if not report.cases and not failed:
        print("There are no tests: nothing says that it does what you mean. See `policy init` for examples.")
    return code


async def evaluate(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """One question."""
    document = await asyncio.to_thread(_document, args.input)
    answer = await lifecycle.evaluate(args.ref, document)
    print(json.dumps(answer, ensure_ascii=False, indent=2))
    try:
        _ = read_decision(answer)
    except DecisionError as error:
        reason = Reason.POLICY_OBLIGATION if isinstance(error, UnmetObligation) else Reason.POLICY_FAILED
        print(f"The gateway would refuse this ({reason}): {error}", file=sys.stderr)
        return PROBLEMS
    return OK


def _document(name: str) -> Object:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_MOST_INPUT + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(_MOST_INPUT + 1)
    except OSError as error:
        raise PolicyToolError(
            f"cannot read {name} ({error.strerror})", "give a file, or - for stdin", usage=True
        ) from None
    if len(content) > _MOST_INPUT:
        raise PolicyToolError("the input is larger than 1 MiB", "an input document has a few kilobytes", usage=True)
    try:
        return parse(content)
    except Refusal as refusal:
        raise PolicyToolError(
            not_json(content, "standard input" if name == "-" else name, refusal),
            "docs/policy.md shows an input document",
            usage=True,
        ) from None


async def replay(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """Recorded decisions through another policy."""
    meter = Meter()
    try:
        report = await lifecycle.replay(args.ref, limit=args.limit, since=since(args), progress=meter)
    finally:
        meter.end()
    if args.json:
        print_json(report_document(report, mask_identifiers=args.mask))
    else:
        print(render(report, mask_identifiers=args.mask), end="")
        print(_verdict(report))
    return PROBLEMS if report.flips or report.errors else OK


def since(args: argparse.Namespace) -> float | None:
    """`--since` as seconds since the epoch."""
    return None if args.since is None else time.time() - float(args.since)


def _verdict(report: Report) -> str:
    if not report.compared:
        return "There are no recorded decisions to compare with."
    if report.opened:
        return f"It newly allows {counted(report.opened, 'recorded request')}: `apply` wants --confirm-new-access."
    return "It allows nothing that was denied."


async def diff(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """What two policies differ in."""
    found = await lifecycle.diff(args.old, args.new)
    if args.json:
        print_json(difference_document(found))
    else:
        print(render_difference(found), end="")
    return OK


async def bundle(args: argparse.Namespace, lifecycle: PolicyLifecycle) -> int:
    """The policy for OPA."""
    content = await lifecycle.bundle(args.ref)
    if args.output == "-":
        if sys.stdout.isatty():
            raise PolicyToolError("that would be bytes on a terminal", "give --output FILE", usage=True)
        sys.stdout.buffer.write(content)
        return OK
    try:
        await asyncio.to_thread(Path(args.output).write_bytes, content)
    except OSError as error:
        raise PolicyToolError(
            f"cannot write {args.output} ({error.strerror})", "give another file", usage=True
        ) from None
    revision = (await lifecycle.candidate(args.ref)).bundle.revision
    if args.json:
        print_json({"file": args.output, "bytes": len(content), "revision": revision})
    else:
        print(f"{args.output}: {len(content)} bytes, revision {short(revision)}")
    return OK
