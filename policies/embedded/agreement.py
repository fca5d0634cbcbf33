"""Where OPA and regorus part by value, not by text: numbers, lengths, letters, what is printed.

A finding says that the text does not rule the difference out, and what to write instead, so that it does. Each has its
case in `tests/policies/differential/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Network, ip_network
from typing import Final

from policies.embedded.calls import Finding
from policies.embedded.kinds import kind_of
from policies.embedded.lattice import Range, Value
from policies.embedded.portable import verbs
from policies.embedded.reads import input_path
from policies.embedded.results import ROUNDED
from policies.embedded.tree import Call, Const, Expr, Group, Module, Op, Rule, inside_rule
from policies.embedded.values import Scope, Values

_NUMBERS: Final = frozenset({"number", None})
_SET: Final = frozenset({"set"})
_TEXT: Final = frozenset({"text"})
_WORD: Final = 1 << 63
_PEER: Final = ("source", "ip")
_NUMBER: Final = re.compile(rb"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WHOLE: Final = re.compile(rb"\d+")
_FRACTION: Final = re.compile(rb"\d+\.\d*[1-9]")
_DIGITS: Final = 15
_ZEROS: Final = re.compile(rb"0\.0000")
_UNSURE: Final = "what need not be a whole number of bounded size: the engines round fractions and long numbers apart"
_SPELLING: Final = (
    "write whole numbers in digits alone, fractions without an exponent or zeros at the end, "
    f"with {_DIGITS} digits at most and no more than three zeros after the point"
)
_LENGTH: Final = (
    "count of what may be a text: the engines count characters beyond U+FFFF differently. "
    "Write count([x | some x in ...]) of a collection, regex.match for a text's length"
)
_LETTERS: Final = (
    'what may not be ASCII: some letters become others in the two engines. Match with regex.match("(?i)^...$", x)'
)
_PRINT: Final = (
    "%v of what may be a fraction, a long number or a collection, which the engines write differently: "
    '%d of abs(round(...)) for numbers, concat(", ", sort(...)) for lists'
)
_PRINTED: Final = 10**15
_COUNTED: Final[dict[str, tuple[Range, ...]]] = {
    "array.slice": ((0, _WORD), (0, _WORD)),
    "bits.and": ((0, _WORD), (0, _WORD)),
    "bits.rsh": ((0, _WORD), (0, 63)),
    "format_int": ((0, _WORD), (2, 16)),
    "numbers.range_step": ((-_WORD, _WORD), (-_WORD, _WORD), (1, _WORD)),
    "substring": ((0, _WORD), (-1, _WORD)),
}
"""The last arguments of builtins that must be whole numbers, and from where to where."""
_BASES: Final = (2, 8, 10, 16)
_SIMPLE: Final = frozenset({"boolean", "null", "text"})
_NETWORK: Final = (
    "the engines read some networks and addresses differently: name networks in the configuration and use "
    "input.source.networks; only a plain network, written here, and input.source.ip can be compared"
)


def disagreements(module: Module, rule: Rule, values: Values) -> Iterator[Finding]:
    """Findings of one rule."""
    scope = Scope(module, rule)
    text = module.text.encode()
    expressions = list(inside_rule(rule))
    rounded = {id(item.arguments[0]) for item in expressions if isinstance(item, Call) and _rounds(item)}
    for expression in expressions:
        match expression:
            case Const(value=int() | float() as value) if not isinstance(value, bool):
                yield from _literal(text, expression.at)
            case Op(kind="ArithExpr"):
                yield from _arithmetic(expression, scope, values, rounded=id(expression) in rounded)
            case Op(kind="UnaryExpr", items=(item,)) if values.of(scope, item).counted is None:
                yield expression.at, "arithmetic_not_portable", f"the sign of {_UNSURE}"
            case Call():
                yield from _call(expression, scope, values)
            case _:
                pass


def _rounds(call: Call) -> bool:
    return call.name in ROUNDED and len(call.arguments) == 1


def _literal(text: bytes, at: int) -> Iterator[Finding]:
    found = _NUMBER.match(text, at + (text[at : at + 1] == b"-"))
    spelled = found.group() if found else b""
    if _WHOLE.fullmatch(spelled):
        if int(spelled) >= _WORD:
            yield at, "number_not_portable", f"{spelled.decode()} has more than 64 bits: this engine rounds it"
        return
    digits = len(spelled.replace(b".", b"").lstrip(b"0"))
    if not _FRACTION.fullmatch(spelled) or digits > _DIGITS or _ZEROS.match(spelled):
        yield at, "number_not_portable", f"{spelled.decode()}: {_SPELLING}"


def _arithmetic(op: Op, scope: Scope, values: Values, *, rounded: bool) -> Iterator[Finding]:
    result = values.of(scope, op)
    if result.kinds == _SET:
        return
    if op.operator == "Div" and result.range is not None and not rounded:
        yield op.at, "arithmetic_not_portable", "the engines round a quotient differently: round, floor or ceil it"
    elif result.range is None:
        unsure = [item for item in op.items if values.of(scope, item).counted is None]
        if not any(isinstance(item, Op) or kind_of(item) not in _NUMBERS for item in unsure):  # has a finding already
            at = unsure[0].at if unsure else op.at
            yield at, "arithmetic_not_portable", f"arithmetic on {_UNSURE}; round() makes data whole"
    elif _beyond(result.range):
        yield op.at, "arithmetic_not_portable", "the result may have more than 64 bits, which this engine rounds"


def _beyond(found: Range) -> bool:
    return found[0] < -_WORD or found[1] > _WORD


def _call(call: Call, scope: Scope, values: Values) -> Iterator[Finding]:
    arguments = call.arguments
    if not arguments:
        return
    match call.name:
        case "count" if values.of(scope, arguments[0]).may_be("text"):
            yield call.at, "length_not_portable", _LENGTH
        case "lower" | "upper" if not _ascii(values.of(scope, arguments[0])):
            yield call.at, "letters_not_portable", f"{call.name} of {_LETTERS}"
        case "sum" if values.of(scope, call).range is None:
            yield arguments[0].at, "arithmetic_not_portable", f"sum of {_UNSURE}"
        case "sum" if _beyond(values.of(scope, call).range or (0, 0)):
            yield call.at, "arithmetic_not_portable", "the sum may have more than 64 bits, which this engine rounds"
        case "floor" | "ceil" if _below_zero(values.of(scope, arguments[0])):
            yield (
                call.at,
                "arithmetic_not_portable",
                f"{call.name} of what may be between -1 and 0, which OPA gets wrong",
            )
        case name if name in _COUNTED:
            yield from _counted(call, scope, values)
        case "sprintf" if len(arguments) > 1:
            yield from _format(arguments[0], arguments[1], scope, values)
        case "net.cidr_contains" if len(arguments) > 1:
            yield from _network(call)
        case _:
            pass


def _below_zero(value: Value) -> bool:
    """Whether it may be a fraction below 0."""
    return value.counted is None and (value.range is None or value.range[0] < 0)


def _ascii(value: Value) -> bool:
    return value.plain and value.kinds == _TEXT


def _counted(call: Call, scope: Scope, values: Values) -> Iterator[Finding]:
    """Arguments that must be whole numbers of some range."""
    for argument, (low, high) in zip(call.arguments[-len(_COUNTED[call.name]) :], _COUNTED[call.name], strict=False):
        found = values.of(scope, argument).counted
        if found is None or found[0] < low or found[1] > high:
            size = f"from {low} to {high}" if high < _WORD else f"from {low} up"
            yield argument.at, "arithmetic_not_portable", f"{call.name} takes a whole number {size} here"
    if call.name == "format_int" and not (isinstance(call.arguments[-1], Const) and call.arguments[-1].value in _BASES):
        yield call.arguments[-1].at, "arithmetic_not_portable", "format_int takes one of the bases 2, 8, 10, 16"


def _format(form: Expr, given: Expr, scope: Scope, values: Values) -> Iterator[Finding]:
    if not isinstance(form, Const) or not isinstance(form.value, str):
        return
    if not isinstance(given, Group):
        yield (
            given.at,
            "sprintf_format",
            "the values of sprintf must stand there as an array, so that they can be checked",
        )
        return
    for verb, item in zip(verbs(form.value), given.items, strict=False):
        value = values.of(scope, item)
        counted = value.counted
        if verb == "d" and (counted is None or counted[0] < 0):
            yield (
                item.at,
                "sprintf_format",
                "%d of what need not be a whole number from 0 up: of data take abs(round(...))",
            )
        elif verb == "s" and value.kinds != _TEXT:
            yield item.at, "sprintf_format", '%s of what may be no text: use %d of numbers, concat("", ...) of others'
        elif verb == "v" and not _printed(value):
            yield item.at, "sprintf_format", _PRINT


def _printed(value: Value) -> bool:
    """Whether both engines write it alike: texts, truths and null, and whole numbers that need no exponent."""
    if value.counted is not None:
        return value.counted[0] > -_PRINTED and value.counted[1] < _PRINTED
    return value.kinds is not None and value.kinds <= _SIMPLE


def _network(call: Call) -> Iterator[Finding]:
    network, peer = call.arguments[:2]
    sound = isinstance(network, Const) and isinstance(network.value, str) and _portable(network.value)
    if not sound or input_path(peer) != _PEER:
        yield call.at, "network_not_portable", _NETWORK


def _portable(text: str) -> bool:
    try:
        network = ip_network(text)
    except ValueError:
        return False
    return not (isinstance(network, IPv6Network) and network.network_address.ipv4_mapped)
