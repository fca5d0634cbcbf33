"""`llm-gateway models list|show`: the models of a running gateway, their engines, and how each dialect is served.
(`models pull|rm`: stock.py.)

Exit codes: 0 done, 1 no gateway, no permission or no such model, 2 wrong usage or unusable state.
"""

from __future__ import annotations

import argparse
from typing import Final

from edge.cli import stock
from edge.cli.arguments import SubParsers
from policies.json import Object, as_list, as_object, as_str
from policies.names import canonical

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
_EPILOG: Final = """
examples:
  llm-gateway models list                    what there is, and on which engines
  llm-gateway models show llama3.2           which dialects its engine speaks itself
  llm-gateway models show llama3.2 --json    the same, for scripts
  llm-gateway models pull ai/smollm2         have an engine fetch it; models rm deletes it

A dialect is `native` where the engine is asked in it, `translated` where it is asked in OpenAI's, `mixed` where several
engines hold the model and differ.

It asks the admin listener of the running gateway. Who owns its state folder needs nothing else; anybody else gives a
key with scope usage:read (or admin) in $LLM_GATEWAY_ADMIN_KEY.
"""


def add_parser(subparsers: SubParsers) -> None:
    """Add `models`; `args.run(args)` runs it."""
    parser = subparsers.add_parser(
        "models",
        help="the models of the running gateway",
        description="The models of the running gateway.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all of them")
    showing = actions.add_parser("show", help="one of them, and how each dialect is served for it")
    showing.add_argument("model", metavar="MODEL", help="its name, or an alias")
    for action in (listing, showing):
        action.add_argument("--json", action="store_true", help="print JSON for scripts")
        action.add_argument("--config", metavar="FILE", help="the configuration, for addresses and the database")
        action.add_argument(
            "--admin", metavar="HOST:PORT", help="the admin listener, where it is not the configured one"
        )
        action.set_defaults(run=run)
    stock.add_actions(actions)


def run(args: argparse.Namespace) -> int:
    """Run it; returns the exit code. ConfigError and StateError go to the caller."""
    from edge.cli.live.access import access  # lazy: what --help need not pay
    from edge.cli.live.client import AdminClient, Away, Refused, Where
    from edge.cli.live.top import complain, nobody, opened

    settings, bind = opened(args)
    try:
        with access("models", settings) as key:
            document = AdminClient(Where.of(bind), key).models()
    except Away:
        return complain("models", nobody(bind), FAILED)
    except Refused as error:
        return complain("models", str(error), USAGE if error.usage else FAILED)
    models = [as_object(each) for each in as_list(document.get("models"))]
    if args.action == "list":
        _list(models, as_json=args.json)
        return DONE
    found = find(models, args.model)
    if found is None:
        return complain("models", "no model of that name, and no alias", FAILED)
    _show(found, as_json=args.json)
    return DONE


def find(models: list[Object], name: str) -> Object | None:
    """The model that `name` means; an alias comes first, as for callers."""
    wanted = canonical(name)
    for model in models:
        if wanted in {canonical(as_str(alias)) for alias in as_list(model.get("aliases"))}:
            return model
    return next((model for model in models if model.get("name") == wanted), None)


def _list(models: list[Object], *, as_json: bool) -> None:
    from edge.cli.policy.printing import print_json, print_table

    if as_json:
        print_json(models)
        return
    heading = ("MODEL", "ENGINES", "CONTEXT", "NATIVE", "ALIASES")
    print_table([heading, *((as_str(model.get("id")), *_cells(model)) for model in models)])


def _cells(model: Object) -> tuple[str, ...]:
    engines = [as_str(as_object(each).get("name")) for each in as_list(model.get("engines"))]
    native = [name for name, way in as_object(model.get("dialects")).items() if way == "native"]
    aliases = [as_str(alias) for alias in as_list(model.get("aliases"))]
    return ", ".join(engines), _known(model), ", ".join(native), ", ".join(aliases)


def _known(model: Object) -> str:
    context = model.get("context")
    return "" if context is None else str(context)


def _show(model: Object, *, as_json: bool) -> None:
    from edge.cli.policy.printing import print_json, print_table

    if as_json:
        print_json(model)
        return
    engines, context, _, aliases = _cells(model)
    rows = (("model", as_str(model.get("id"))), ("engines", engines), ("context", context), ("aliases", aliases))
    print_table([row for row in rows if row[1]])
    print()
    served = [as_object(each) for each in as_list(model.get("engines"))]
    heading = ("DIALECT", "SERVED", *(as_str(each.get("name")) for each in served if len(served) > 1))
    ways = as_object(model.get("dialects"))
    lines = [
        (name, as_str(way), *(as_str(as_object(each.get("dialects")).get(name)) for each in served if len(served) > 1))
        for name, way in ways.items()
    ]
    print_table([heading, *lines])
