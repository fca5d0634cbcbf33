"""Values of a kind that cannot be right where they stand: what OPA's type checker refuses, as far as the text tells.

regorus finds such a thing when it gets there, or takes it for undefined, which `not` turns into a yes. Only what stands
there as a constant, a group or a calculation is looked at; variables and references may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from policies.embedded.known import kind_at, kind_of_value
from policies.embedded.reads import input_path
from policies.embedded.tree import Call, Const, Expr, Group, Op, Ref

_TEXT: Final = frozenset({"text"})
_NUMBER: Final = frozenset({"number"})
_SET: Final = frozenset({"set"})
_OBJECT: Final = frozenset({"object"})
_LIST: Final = frozenset({"array", "set"})
_SIZED: Final = frozenset({"array", "set", "object", "text"})
_KEYS: Final = frozenset({"array", "set", "object"})
_ARRAY: Final = frozenset({"array"})
_LINES: Final = frozenset({"text", "array", "set"})
_OF_TEXT: Final = (
    *("lower", "upper", "trim_space", "strings.reverse", "hex.encode", "json.unmarshal", "units.parse"),
    *("base64.encode", "base64url.encode", "base64url.encode_no_pad"),
)
_ON_TEXTS: Final = (
    *("contains", "startswith", "endswith", "split", "trim", "trim_left", "trim_prefix", "trim_right"),
    *("trim_suffix", "indexof", "regex.match", "net.cidr_contains"),
)
WANTED: Final = MappingProxyType(
    {
        **dict.fromkeys(("abs", "ceil", "floor", "round"), (_NUMBER,)),
        **dict.fromkeys(_OF_TEXT, (_TEXT,)),
        **dict.fromkeys(("sum", "product", "max", "min", "sort", "union", "intersection"), (_LIST,)),
        **dict.fromkeys(_ON_TEXTS, (_TEXT, _TEXT)),
        **dict.fromkeys(("strings.any_prefix_match", "strings.any_suffix_match"), (_LINES, _LINES)),
        **dict.fromkeys(("replace", "regex.replace"), (_TEXT, _TEXT, _TEXT)),
        **dict.fromkeys(("bits.and", "bits.rsh", "format_int"), (_NUMBER, _NUMBER)),
        **dict.fromkeys(("numbers.range", "numbers.range_step"), (_NUMBER, _NUMBER, _NUMBER)),
        **dict.fromkeys(("object.filter", "object.remove"), (_OBJECT, _KEYS)),
        "to_number": (_TEXT | _NUMBER | {"boolean", "null"},),
        "concat": (_TEXT, _LIST),
        "substring": (_TEXT, _NUMBER, _NUMBER),
        "count": (_SIZED,),
        "graph.reachable": (_OBJECT, _LIST),
        "object.get": (_OBJECT,),
        "object.keys": (_OBJECT,),
        "object.union": (_OBJECT, _OBJECT),
        "object.union_n": (_ARRAY,),
        "array.concat": (_ARRAY, _ARRAY),
        "array.reverse": (_ARRAY,),
        "array.slice": (_ARRAY, _NUMBER, _NUMBER),
        "glob.match": (_TEXT, frozenset({"array", "null"}), _TEXT),
    }
)
"""The kinds that each argument of a builtin may have: any other is an error, or no value."""
ITEMS: Final = MappingProxyType(
    {
        "concat": (1, _TEXT),
        "sum": (0, _NUMBER),
        "product": (0, _NUMBER),
        "union": (0, _SET),
        "intersection": (0, _SET),
        "object.union_n": (0, _OBJECT),
        "strings.any_prefix_match": (1, _TEXT),
        "strings.any_suffix_match": (1, _TEXT),
    }
)
"""Which argument is a collection, and what it may hold."""


def wrong_kinds(expression: Expr) -> Iterator[tuple[int, str]]:
    """(where, what is wrong) of `expression` itself, not of what is inside it."""
    match expression:
        case Call():
            yield from _arguments(expression)
        case Op(kind="ArithExpr", items=items):
            found = {kind_of(item) for item in items}
            wanted = _SET if found <= {"set", None} and "set" in found else _NUMBER
            for item in items:
                yield from _unless(item, wanted, "arithmetic")
        case Op(kind="BoolExpr", items=(left, right)):
            kinds = _kind_of_either(left), _kind_of_either(right)
            if None not in kinds and kinds[0] != kinds[1]:
                yield expression.at, f"compares {kinds[0]} with {kinds[1]}: the answer is always the same"
        case Ref(base=Group(kind="array", items=items), steps=(Const(value=int(index), at=at), *_)):
            if not 0 <= index < len(items):
                yield at, f"an array of {len(items)} has no item {index}"
        case _:
            return


def _arguments(call: Call) -> Iterator[tuple[int, str]]:
    name, arguments = call.name, call.arguments
    for argument, wanted in zip(arguments, WANTED.get(name, ()), strict=False):
        yield from _unless(argument, wanted, name)
    place, wanted = ITEMS.get(name, (0, frozenset[str]()))
    items = arguments[place] if wanted and place < len(arguments) else None
    if isinstance(items, Group):
        for item in items.items:
            yield from _unless(item, wanted, name)


def _kind_of_either(expression: Expr) -> str | None:
    """As `kind_of`; of a field of the input, what always stands there. None if both are free, or it cannot be told."""
    path = input_path(expression)
    if path is None:
        return kind_of(expression)
    whole = isinstance(expression, Ref) and len(expression.steps) == len(path)
    return kind_at(path) if whole else None  # `input.models[i]` reads the models, and is one of them


def kind_of(expression: Expr) -> str | None:
    """The kind of value that stands there, None if it can be any."""
    match expression:
        case Const(value=value):
            return kind_of_value(value)
        case Group(kind=kind):
            return kind
        case _:
            return None


def _unless(expression: Expr, wanted: frozenset[str], where: str) -> Iterator[tuple[int, str]]:
    kind = kind_of(expression)
    if kind is not None and kind not in wanted:
        yield expression.at, f"{where} takes {' or '.join(sorted(wanted))} here, not {kind}"
