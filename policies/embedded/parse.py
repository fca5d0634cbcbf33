"""From the JSON that regorus gives of its own syntax tree to the typed tree of tree.py.

The names of nodes are those of regorus' Rust enums. A shape that is not known is an error, not a hole in the tree: a
lint that overlooks a part of a policy would be worse than none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from policies.embedded.tree import (
    Assign,
    Body,
    Call,
    Compr,
    Const,
    Expr,
    Group,
    Import,
    Module,
    Op,
    Query,
    Ref,
    Rule,
    Statement,
    Var,
    words,
)
from policies.json import JSON, Object, as_list, as_object, as_str

_OPERANDS: Final = ("expr", "key", "value", "collection", "lhs", "rhs")
_CONSTANTS: Final = frozenset({"String", "RawString", "Bool", "Null", "Number"})
_OPERATORS: Final = frozenset({"UnaryExpr", "BinExpr", "BoolExpr", "ArithExpr", "Membership"})
_HEADS: Final[dict[str, Literal["value", "set", "function"]]] = {"Compr": "value", "Set": "set", "Func": "function"}


def read_module(file: str, text: str, tree: Object) -> Module:
    """The module in regorus' JSON `tree` of `text`. ValueError for a tree of a shape that is not known."""
    reader = _Reader(text.encode())
    package = reader.expression(as_object(tree["package"])["refr"])
    imports = [reader.imported(as_object(item)) for item in as_list(tree.get("imports"))]
    rules = [reader.rule(as_object(item)) for item in as_list(tree.get("rules"))]
    return Module(file, text, words(package), package.at, tuple(imports), tuple(rules))


class _Reader:
    """Reads one module; needs its text because some nodes give only the place of a name."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def expression(self, node: JSON) -> Expr:
        ((kind, value),) = as_object(node).items()
        body = as_object(value)
        at = _start(body.get("span"))
        if kind in _CONSTANTS:
            # regorus' place of a text is that of its first character, everybody else's that of the quote.
            return Const(body.get("value"), at - 1 if kind in {"String", "RawString"} else at)
        if kind in _OPERATORS:
            operands = [body[name] for name in _OPERANDS if body.get(name) is not None]
            return Op(kind, self._all(operands), at, as_str(body.get("op")))
        read = _FORMS.get(kind)
        if read is None:
            raise ValueError(f"a syntax that is not known here: {kind}")
        return read(self, body, at)

    def variable(self, body: Object, at: int) -> Var:
        return Var(as_str(body["value"]), at)

    def call(self, body: Object, at: int) -> Call:
        target = self.expression(body["fcn"])
        name = ".".join(words(target)) if _plain(target) else ""
        return Call(name, self._all(body["params"]), at)

    def array(self, body: Object, at: int) -> Group:
        return Group("array", self._all(body["items"]), at)

    def set(self, body: Object, at: int) -> Group:
        return Group("set", self._all(body["items"]), at)

    def object(self, body: Object, at: int) -> Group:
        pairs = [as_list(field)[1:] for field in as_list(body["fields"])]
        return Group("object", self._all([item for pair in pairs for item in pair]), at)

    def array_comprehension(self, body: Object, at: int) -> Compr:
        return self._comprehension("array", body, at)

    def set_comprehension(self, body: Object, at: int) -> Compr:
        return self._comprehension("set", body, at)

    def object_comprehension(self, body: Object, at: int) -> Compr:
        return self._comprehension("object", body, at)

    def _comprehension(self, kind: Literal["array", "set", "object"], body: Object, at: int) -> Compr:
        terms = [body[name] for name in ("term", "key", "value") if body.get(name) is not None]
        return Compr(kind, self._all(terms), self.query(body["query"]), at)

    def assignment(self, body: Object, at: int) -> Assign:
        return Assign(self.expression(body["lhs"]), self.expression(body["rhs"]), body["op"] == "ColEq", at)

    def dotted(self, body: Object, at: int) -> Ref:
        field = as_list(body.get("field"))
        return self._extended(body, Const(field[1], _start(field[0])), at)

    def bracketed(self, body: Object, at: int) -> Ref:
        return self._extended(body, self.expression(body["index"]), at)

    def _extended(self, body: Object, step: Expr, at: int) -> Ref:
        base = self.expression(body["refr"])
        if isinstance(base, Ref):
            return Ref(base.base, (*base.steps, step), base.at)
        return Ref(base, (step,), min(at, base.at))

    def _all(self, nodes: JSON) -> tuple[Expr, ...]:
        return tuple(self.expression(node) for node in as_list(nodes))

    def query(self, node: JSON) -> Query:
        return tuple(self._statement(as_object(item)) for item in as_list(as_object(node).get("stmts")))

    def _statement(self, node: Object) -> Statement:
        ((kind, value),) = as_object(node["literal"]).items()
        body, at = as_object(value), _start(node.get("span"))
        modifiers = [as_object(item) for item in as_list(node.get("with_mods"))]
        replaced = tuple((self.expression(item["refr"]), self.expression(item["as"])) for item in modifiers)
        match kind:
            case "SomeVars":
                return Statement("some", (), self._names(*as_list(body["vars"])), (), replaced, at)
            case "SomeIn":
                given = [body.get(name) for name in ("key", "value", "collection")]
                items = tuple(self.expression(item) for item in given if item is not None)
                return Statement("some", items, (), (), replaced, at)
            case "Expr" | "NotExpr":
                negated = kind == "NotExpr"
                item = self.expression(body["expr"])
                return Statement("not" if negated else "is", (item,), (), (), replaced, at)
            case "Every":
                names = self._names(*(span for span in (body.get("key"), body["value"]) if span is not None))
                domain = (self.expression(body["domain"]),)
                return Statement("every", domain, names, self.query(body["query"]), replaced, at)
            case _:
                raise ValueError(f"a statement that is not known here: {kind}")

    def _names(self, *spans: JSON) -> tuple[Var, ...]:
        found = []
        for span in spans:
            start, end = _start(span), as_object(span).get("end")
            found.append(Var(self._text[start : end if isinstance(end, int) else start].decode(), start))
        return tuple(found)

    def imported(self, node: Object) -> Import:
        path, alias = self.expression(node["refr"]), node.get("as")
        name = self._names(alias)[0].name if alias is not None else words(path)[-1]
        return Import(words(path), name, _start(node.get("span")))

    def rule(self, node: Object) -> Rule:
        ((kind, value),) = node.items()
        body = as_object(value)
        at = _start(body.get("span"))
        if kind == "Default":
            path, steps = self._name(body)
            return Rule("default", path[0], path, steps, (), None, self.expression(body["value"]), (), at)
        ((form, inner),) = as_object(body["head"]).items()
        head = as_object(inner)
        path, steps = self._name(head)
        arguments = self._all(head.get("args"))
        key = self.expression(head["key"]) if form == "Set" else None
        bodies = tuple(self._body(as_object(item)) for item in as_list(body.get("bodies")))
        return Rule(_HEADS[form], path[0], path, steps, arguments, key, self._assigned(head.get("assign")), bodies, at)

    def _name(self, head: Object) -> tuple[tuple[str, ...], tuple[Expr, ...]]:
        target = self.expression(head["refr"])
        return words(target), target.steps if isinstance(target, Ref) else ()

    def _body(self, node: Object) -> Body:
        return Body(self.query(node["query"]), self._assigned(node.get("assign")), node.get("is_else") is True)

    def _assigned(self, node: JSON) -> Expr | None:
        return None if node is None else self.expression(as_object(node)["value"])


def _plain(target: Expr) -> bool:
    return isinstance(target, Var) or (isinstance(target, Ref) and len(words(target)) == len(target.steps) + 1)


def _start(span: JSON) -> int:
    start = as_object(span).get("start")
    return start if isinstance(start, int) else 0


_FORMS: Final[dict[str, Callable[[_Reader, Object, int], Expr]]] = {
    "Var": _Reader.variable,
    "Call": _Reader.call,
    "RefDot": _Reader.dotted,
    "RefBrack": _Reader.bracketed,
    "Array": _Reader.array,
    "Set": _Reader.set,
    "Object": _Reader.object,
    "ArrayCompr": _Reader.array_comprehension,
    "SetCompr": _Reader.set_comprehension,
    "ObjectCompr": _Reader.object_comprehension,
    "AssignExpr": _Reader.assignment,
}
