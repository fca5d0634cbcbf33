"""Which parts of `input` a policy's text may read: what the decision cache may leave out of its key.

An over-approximation that needs no flow analysis: whoever wants a part of the input has to write `input` somewhere, and
what stands there is a reference whose constant steps say below which path everything read from it lies, whatever alias
or function it is passed on through (`x := input.caller` reads all of `caller`). `input` alone, or with a first step
that is not constant, is everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

from policies.embedded.findings import Reads
from policies.embedded.portable import VOLATILE
from policies.embedded.tree import Call, Expr, Module, Ref, Var, inside_rule, words

INPUT: Final = "input"
_CHANGING: Final = (
    ("id",),
    ("trace_id",),
    ("time", "now_ns"),
    ("time", "iso"),
    ("time", "minute"),
    ("usage",),
)
"""What differs from request to request, or soon, though the question is the same: a cache key with it never matches."""


def reads(modules: Iterable[Module]) -> Reads:
    """What `modules` may read."""
    found: set[tuple[str, ...]] = set()
    clock = False
    for module in modules:
        found |= {item.path[1:] for item in module.imports if item.path[:1] == (INPUT,)}
        for expression in chain.from_iterable(map(inside_rule, module.rules)):
            path = input_path(expression)
            if path is not None:
                found.add(path)
            clock = clock or named(expression) in VOLATILE
    if () in found:
        return Reads((), whole=True, volatile=True)
    return Reads(_prefix_free(found), whole=False, volatile=clock or any(map(_changes, found)))


def input_path(expression: Expr) -> tuple[str, ...] | None:
    """The path below `input` that `expression` itself reads; None if it reads none, () for the whole."""
    found = words(expression)
    return found[1:] if found[:1] == (INPUT,) else None


def named(expression: Expr) -> str:
    """The dotted name of a function that is called, or named as a value (`with f as time.now_ns`); else ""."""
    match expression:
        case Call(name=name):
            return name
        case Ref() | Var():
            return ".".join(words(expression))
        case _:
            return ""


def _prefix_free(paths: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    kept: list[tuple[str, ...]] = []
    for path in sorted(paths):  # a prefix sorts before what it covers
        if not kept or path[: len(kept[-1])] != kept[-1]:
            kept.append(path)
    return tuple(kept)


def _changes(path: tuple[str, ...]) -> bool:
    """Whether what `path` covers overlaps with what changes: reading all of `time` reads `time.now_ns`."""
    return any(path[: len(other)] == other or other[: len(path)] == path for other in _CHANGING)
