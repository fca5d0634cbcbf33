"""Values of a kind that cannot be right where they stand: what OPA's type checker refuses, as far as the text tells.

regorus finds such a thing when it gets there, or takes it for undefined, which `not` turns into a yes. Only what stands
there as a constant, a group or a calculation is looked at; variables and references may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from policies.embedded.tree import Call, Const, Expr, Group, Op, Ref

_TEXT: Final = frozenset({"text"})
_NUMBER: Final = frozenset({"number"})
_OBJECT: Final = frozenset({"object"})
_LIST: Final = frozenset({"array", "set"})
_SIZED: Final = frozenset({"array", "set", "object", "text"})
_ON_TEXTS: Final = (
    *("contains", "startswith", "endswith", "split", "trim", "trim_left", "trim_prefix", "trim_right"),
    *("trim_suffix", "indexof", "regex.match", "net.cidr_contains"),
)
_WANTED: Final = MappingProxyType(
    {
        **dict.fromkeys(("abs", "ceil", "floor", "round"), (_NUMBER,)),
        **dict.fromkeys(("lower", "upper", "trim_space", "json.unmarshal", "units.parse"), (_TEXT,)),
        **dict.fromkeys(("sum", "product", "max", "min", "sort"), (_LIST,)),
        **dict.fromkeys(_ON_TEXTS, (_TEXT, _TEXT)),
        "to_number": (_TEXT | _NUMBER | {"boolean", "null"},),
        "concat": (_TEXT, _LIST),
        "replace": (_TEXT, _TEXT, _TEXT),
        "substring": (_TEXT, _NUMBER, _NUMBER),
        "format_int": (_NUMBER, _NUMBER),
        "numbers.range": (_NUMBER, _NUMBER),
        "count": (_SIZED,),
        "object.get": (_OBJECT,),
        "object.keys": (_OBJECT,),
        "object.union": (_OBJECT, _OBJECT),
        "array.concat": (frozenset({"array"}), frozenset({"array"})),
        "glob.match": (_TEXT, frozenset({"array", "null"}), _TEXT),
    }
)
_ITEMS: Final = MappingProxyType({"concat": (1, _TEXT), "sum": (0, _NUMBER), "product": (0, _NUMBER)})
_KINDS: Final = ((bool, "boolean"), (str, "text"), (int, "number"), (float, "number"))


def wrong_kinds(expression: Expr) -> Iterator[tuple[int, str]]:
    """(where, what is wrong) of `expression` itself, not of what is inside it."""
    match expression:
        case Call(name=name, arguments=arguments):
            for argument, wanted in zip(arguments, _WANTED.get(name, ()), strict=False):
                yield from _unless(argument, wanted, name)
            place, wanted = _ITEMS.get(name, (0, frozenset[str]()))
            items = arguments[place] if wanted and place < len(arguments) else None
            if isinstance(items, Group):
                for item in items.items:
                    yield from _unless(item, wanted, name)
        case Op(kind="ArithExpr", items=items):
            sets = [kind_of(item) == "set" for item in items]
            for item in items:
                yield from _unless(item, frozenset({"set"}) if all(sets) else _NUMBER, "arithmetic")
        case Ref(base=Group(kind="array", items=items), steps=(Const(value=int(index), at=at), *_)):
            if not 0 <= index < len(items):
                yield at, f"an array of {len(items)} has no item {index}"
        case _:
            return


def kind_of(expression: Expr) -> str | None:
    """The kind of value that stands there, None if it can be any."""
    match expression:
        case Const(value=None):
            return "null"
        case Const(value=value):
            return next((name for kind, name in _KINDS if isinstance(value, kind)), None)
        case Group(kind=kind):
            return kind
        case _:
            return None


def _unless(expression: Expr, wanted: frozenset[str], where: str) -> Iterator[tuple[int, str]]:
    kind = kind_of(expression)
    if kind is not None and kind not in wanted:
        yield expression.at, f"{where} takes {' or '.join(sorted(wanted))} here, not {kind}"
