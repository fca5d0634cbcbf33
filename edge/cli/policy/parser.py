"""The actions of `policy`, their options, and help that shows how they are used."""

from __future__ import annotations

import argparse
from typing import Final

from edge.cli.arguments import SubParsers, checked, count_to
from edge.identity.duration import seconds

_count: Final = count_to(999_999_999)

_REFS: Final = """
REF is one of
  active         the policy in force          default   the one that comes with the gateway
  NAME           a draft                      1f3a9c    a revision, or its first digits (6 or more)
  ./DIR          a folder with *.rego, *_test.rego and data.json or data.yaml
"""
_FIRST: Final = """
a change, from the beginning to the end:
  llm-gateway policy init ./policy                   a folder to start from
  llm-gateway policy check ./policy                  does it compile? what does it read?
  llm-gateway policy test ./policy                   its own tests, with coverage
  llm-gateway policy replay ./policy                 which recorded decisions would be others?
  llm-gateway policy shadow start ./policy           let it decide beside the live one, unheard
  llm-gateway policy apply ./policy --note "why"     put it in force, within a second everywhere
  llm-gateway policy rollback --note "why not"       take it back
"""


def add_parser(subparsers: SubParsers) -> None:
    """Add `policy` and its actions; `args.action` names the one chosen, `args.run(args)` runs it."""
    policy = subparsers.add_parser(
        "policy",
        help="who may use which model: try, apply and explain policies",
        description="Who may use which model, how, from where and when: try a policy, put it in force, look back.",
        epilog=_FIRST + _REFS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    policy.set_defaults(run=_run)
    actions = policy.add_subparsers(dest="action", metavar="ACTION", required=True)
    _trying(actions)
    _changing(actions)
    _looking(actions)


def _run(args: argparse.Namespace) -> int:
    from edge.cli.policy.command import run  # lazy: SQLAlchemy and the rest cost what --help need not pay

    return run(args)


def _action(actions: SubParsers, name: str, text: str, example: str, *, ref: bool = False) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"example:\n  llm-gateway policy {example}\n" + (_REFS if ref else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="instead of $LLM_GATEWAY_CONFIG or ./gateway.yaml")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    return parser


def _group(actions: SubParsers, name: str, text: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")


def _trying(actions: SubParsers) -> None:
    init = _action(actions, "init", "write a policy into a new folder, to start from", "init ./policy")
    init.add_argument("folder", metavar="DIR", help="a new or empty folder")
    init.add_argument("--from", dest="ref", default="default", metavar="REF", help="which policy (default: default)")
    check = _action(actions, "check", "compile and lint a policy; exit 1 if it has errors", "check ./policy", ref=True)
    test = _action(actions, "test", "run a policy's own tests; exit 1 if one fails", "test ./policy -v", ref=True)
    test.add_argument("-v", "--verbose", action="store_true", help="name every case, and every line not covered")
    evaluate = _action(
        actions, "eval", "ask a policy about one input document", "eval ./policy --input question.json", ref=True
    )
    evaluate.add_argument(
        "--input", required=True, metavar="FILE", help="the input document (see docs/policy.md); - reads standard input"
    )
    replay = _action(
        actions,
        "replay",
        "which recorded decisions would a policy make otherwise? exit 1 if there are any",
        "replay ./policy --since 7d",
        ref=True,
    )
    replay.add_argument("--mask", action="store_true", help="numbers instead of callers, keys and addresses")
    _span(replay)
    for parser in (check, test, evaluate, replay):
        parser.add_argument("ref", metavar="REF", help="which policy")
    diff = _action(actions, "diff", "what two policies differ in", "diff active ./policy", ref=True)
    diff.add_argument("old", metavar="OLD", help="from this policy")
    diff.add_argument("new", metavar="NEW", help="to that one")
    bundle = _action(
        actions, "bundle", "write a policy as an OPA bundle, unsigned", "bundle active --output policy.tar.gz", ref=True
    )
    bundle.add_argument("ref", metavar="REF", help="which policy")
    bundle.add_argument("--output", required=True, metavar="FILE", help="the tar.gz to write; - for standard output")


def _changing(actions: SubParsers) -> None:
    apply = _action(
        actions,
        "apply",
        "put a policy in force, if its check and tests pass; says first what changes",
        'apply ./policy --note "batch may use the 70b at night"',
        ref=True,
    )
    apply.add_argument("ref", metavar="REF", help="which policy")
    _span(apply)
    rollback = _action(
        actions,
        "rollback",
        "put back what was in force before, or an earlier revision",
        'rollback --note "ann cannot work"',
    )
    rollback.add_argument("ref", nargs="?", metavar="REVISION", help="default: what the newest change replaced")
    for parser in (apply, rollback):
        parser.add_argument(
            "--note",
            type=_note if parser is apply else str,
            required=parser is apply,
            default="",
            metavar="TEXT",
            help="why, for the history",
        )
        parser.add_argument("--author", metavar="NAME", help="who (default: your user name)")
        parser.add_argument(
            "--confirm-new-access",
            action="store_true",
            help="yes, requests that were denied so far are meant to be allowed",
        )
    shadow = _group(actions, "shadow", "let a policy decide beside the live one, unheard")
    kinds = shadow.add_subparsers(dest="kind", metavar="ACTION", required=True)
    start = _action(kinds, "start", "start it, in place of another one", "shadow start ./policy --sample 0.1", ref=True)
    start.add_argument("ref", metavar="REF", help="which policy")
    start.add_argument(
        "--sample", type=_share, default=1.0, metavar="SHARE", help="of the requests: 0.1 is every tenth"
    )
    start.add_argument("--author", metavar="NAME", help="who (default: your user name)")
    _action(kinds, "status", "what it would have decided otherwise so far", "shadow status")
    _action(kinds, "stop", "end it, and say what it saw", "shadow stop")
    _drafts(actions)


def _drafts(actions: SubParsers) -> None:
    draft = _group(actions, "draft", "keep policies that are not in force in the database")
    kinds = draft.add_subparsers(dest="kind", metavar="ACTION", required=True)
    save = _action(kinds, "save", "keep a policy under a name", "draft save night-batch ./policy", ref=True)
    save.add_argument("name", metavar="NAME", help="the draft's name; one that exists is replaced")
    save.add_argument("ref", metavar="REF", help="which policy")
    save.add_argument("--author", metavar="NAME", help="who (default: your user name)")
    _action(kinds, "list", "all drafts", "draft list")
    show = _action(kinds, "show", "a draft's text", "draft show night-batch")
    delete = _action(kinds, "delete", "forget a draft", "draft delete night-batch")
    for parser in (show, delete):
        parser.add_argument("name", metavar="NAME", help="the draft")


def _looking(actions: SubParsers) -> None:
    _action(actions, "status", "which policy is in force, what shadows it, and who runs it", "status")
    history = _action(actions, "history", "which policies were in force, when, by whom and why", "history --limit 5")
    history.add_argument("--limit", type=_count, default=20, metavar="N", help="the newest N (default 20)")
    explain = _action(actions, "explain", "why a request got its answer", "explain 4bf92f3577b34da6a3ce929d0e0e4736")
    explain.add_argument("request", metavar="REQUEST_ID", help="the answer's x-request-id")
    decisions = _action(actions, "decisions", "the latest decisions", "decisions --denied --since 1h")
    verdicts = decisions.add_mutually_exclusive_group()
    verdicts.add_argument("--denied", action="store_true", help="only those that were a no")
    verdicts.add_argument("--allowed", action="store_true", help="only those that were a yes")
    decisions.add_argument("--caller", metavar="NAME", help="only those of this owner, key id or key name")
    decisions.add_argument("--model", metavar="MODEL", help="only those about this model")
    decisions.add_argument("--since", type=checked(seconds), metavar="SPAN", help="only those of the last 1h, 7d, ...")
    decisions.add_argument("--limit", type=_count, default=50, metavar="N", help="the newest N (default 50)")
    decisions.add_argument("--fleet", action="store_true", help="those that OPAs of the fleet reported")
    decisions.add_argument("--export", choices=["opa"], help="print them as OPA's decision log does, one JSON per line")


def _span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=checked(seconds), metavar="SPAN", help="replay only the last 1h, 7d, ...")
    parser.add_argument(
        "--limit", type=_count, default=10_000, metavar="N", help="replay the newest N decisions (default 10000)"
    )


def _note(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("write why, in a few words")
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError("write a share above 0 and at most 1: 0.1 is every tenth request")
    return share
