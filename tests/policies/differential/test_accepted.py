"""What `policy check` accepts means the same to both engines, whatever callers send.

Random expressions of what the engines are known to part over; those that the check lets through are evaluated by both.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Final

from policies.embedded.known import sample
from policies.embedded.lints import lint
from policies.embedded.parse import read_module
from policies.embedded.rego import RegoError, syntax_tree
from policies.json import JSON, Object
from tests.policies.differential.cases import Case
from tests.policies.differential.engines import by_embedded, by_opa

_LEAVES: Final = (
    *("0", "1", "7", "1000", "9007199254740993", "4611686018427387904", "0.1", "0.5", "1.25", "0.30000000000000004"),
    *("input.time.now_ns", "input.key.expires_ns", "input.usage.tokens_day", "input.request.temperature"),
    *("input.request.max_tokens", "count(input.models)", "data.gwcfg.x.y", "round(data.gwcfg.x.y)", "f(3)", "g(0.5)"),
)
_TEXTS: Final = ('"straße"', '"İ"', '"ΑΣ"', '"😀a"', '"Plain"', "input.model.resolved", "input.model.requested")
_LISTS: Final = (
    "input.models",
    "input.caller.groups",
    "[1, {2}]",
    "[{1}, {2}]",
    '[{"a": {1}}, 3]',
    "{3, 1, 2}",
    "things",
)
_HELPERS: Final = {
    "f(": "f(a) := a * 2",
    "g(": "g(a) := a",
    "things": "things contains 5\n\nthings contains 0.5",
}
_CLAIMS: Final = (
    *("input.caller.claims.e", "input.caller.claims.l", "input.caller.claims.none", "input.caller.claims.l[_]"),
    *("input.caller.claims[input.model.resolved]", 'object.get(input.caller.claims, "e", "")', "input.model.resolved"),
    *("input.model.requested", "input.caller.claims.o.a"),
)
_ALWAYS: Final = (
    'f(a) := a if a == "a"',
    'h(a) if a == "a"',
    "o := {k | some k in input.models}",
    "r := input.caller.claims.e",
)
_SENT: Final[tuple[Object, ...]] = (
    {},
    {"e": "a", "l": ["a", "b"], "o": {"a": "a", "b": 2}},
    {"e": 5, "l": "text", "o": {"a": 1}},
    {"e": None, "l": {"a": "a"}, "o": ["a"], "Qwen3": True},
    {"e": ["a"], "l": 7, "o": False, "Qwen3": "a"},
    {"e": "é😀/a.b", "l": [["a"], "é"], "o": {"a": "a\nb"}},
)
_PATTERNS: Final = (
    *(
        "^a$",
        "(?i)k",
        "[a-z]+",
        "[^a]",
        "\\\\w",
        "[a[b]]",
        "a**",
        "(?:a|b){2}",
        "é",
        ".",
        "^.{3,}$",
        "[[:alpha:]]",
        "\\.",
        "",
    ),
    *("(?s)a.b", "[a-]", "a{1001}", "\\pL", "(a+)+$", "(?m)^b"),
)
_GLOBS: Final = (
    *(
        "*",
        "a*",
        "**",
        "a/**",
        "*/*",
        "?",
        "Qwen?",
        "{a,b}*",
        "[a-c]",
        "é*",
        "*.b",
        "**/a",
        "a**",
        "{a,}",
        "*{b,3}",
        "",
    ),
)
_DELIMITERS: Final = ("null", '["/"]', '["."]', '[":"]', "[]")
_NO_MATTER: Final = frozenset({"no_entry_point"})
SEED: Final = 20261121
_MADE: Final = 1_500
_ENOUGH: Final = 150
_ENOUGH_POLICIES: Final = 100
_POLICIES: Final = 600


def _module(expression: str) -> str:
    helpers = [text for name, text in _HELPERS.items() if name in expression]
    return "\n\n".join((f"v := {expression}", *helpers)) + "\n"


def _number(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(_LEAVES)
    one, other = _number(chance, depth - 1), _number(chance, depth - 1)
    name = f"z{chance.randrange(1 << 20)}"
    forms = [
        *(f"({one} {sign} {other})" for sign in "+-*%"),
        f"floor({one} / {other})",
        f"round({one} / {other})",
        f"({one} / {other})",
        f"sum([{one}, {other}])",
        f"max([{one}, {other}])",
        f"count([{name} | some {name} in {chance.choice(_LISTS)}; {name} != {one}])",
        f"sum([x | some x in {chance.choice(_LISTS)}])",
        f"count({chance.choice((*_TEXTS, *_LISTS))})",
        f"ceil({one})",
        f"abs({one})",
    ]
    return chance.choice(forms)


def _expression(chance: random.Random) -> str:
    one = _number(chance, 2)
    forms = [
        one,
        f"[n | n := {one}; n {chance.choice(('==', '<', '>='))} {_number(chance, 1)}]",
        f'sprintf("%v %s %d", [{one}, {chance.choice((*_TEXTS, one))}, {_number(chance, 1)}])',
        f"{chance.choice(('lower', 'upper'))}({chance.choice(_TEXTS)})",
        f"sort({chance.choice(_LISTS)})",
        f"[{chance.choice(_LISTS)}, {chance.choice(_LISTS)}]",
        f"{{{chance.choice(_LISTS)}, {one}}}",
    ]
    return chance.choice(forms)


def _condition(chance: random.Random) -> str:
    """A line of a body about claims that may be missing, or of any kind."""
    one, other = chance.choice(_CLAIMS), chance.choice((*_CLAIMS, '"a"', "5", '["a"]', "input.model.resolved"))
    forms = [
        *(one, f"f({one})", f"h({one})", f"h(f({one}))", f"{one} in {other}", f'{one} in {{"a", "b"}}'),
        *(f"{one} {sign} {other}" for sign in ("==", "!=", "<", "=")),
        *(f'{name}({one}, "a")' for name in ("startswith", "contains", "endswith")),
        *(
            f"[{one}] == [{other}]",
            f'object.get(input.caller.claims, "e", {other}) == "a"',
            f"o[{one}]",
            "r",
            'r == "a"',
        ),
        *(f'"a" in object.get(input.caller.claims, "l", {other})', f"count([x | some x in {one}]) > 0"),
        *(f"regex.match({_quoted(chance.choice(_PATTERNS))}, {other})", f"({one} in {other}) == false"),
        f"glob.match({_quoted(chance.choice(_GLOBS))}, {chance.choice(_DELIMITERS)}, {other})",
        f"count([x | x := {one}[_]]) > 1",
        f'{{"a": x}} = {one}',
    ]
    return chance.choice(forms)


def _quoted(text: str) -> str:
    return json.dumps(text)


def _body(chance: random.Random) -> str:
    lines = []
    for _ in range(chance.randrange(1, 4)):
        line = _condition(chance)
        lines.append(f"not {line}" if chance.random() < 0.4 else line)
        if chance.random() < 0.3:
            lines.insert(0, f"is_{chance.choice(('string', 'string', 'array', 'object'))}({chance.choice(_CLAIMS)})")
    if chance.random() < 0.3:
        lines.insert(0, f"some e in {chance.choice((*_CLAIMS, 'input.models', 'input.caller.groups'))}")
    return "; ".join(lines)


def _policy(chance: random.Random) -> str:
    body, one = _body(chance), chance.choice(_CLAIMS)
    rules = [
        f"v if {{ {body} }}",
        f"v := [x | x := w]\n\nw if {{ {body} }}\n\nw if {{ {_body(chance)} }}",
        f"v := [1 | {body}]",
        f"v if every g in input.models {{ g != 1; {body} }}",
        f"v := [x | x := {_condition(chance)}]",
        f"v := [k | some k, _ in p]\n\np[k] := 1 if {{ some k in input.models; {body} }}",
        f"v := {{x | x := {one}}}\n",
        f'v := "a" if {{ {body} }} else := "b" if {{ {_body(chance)} }}',
        f"v if not w\n\nw if {{ {body} }}",
    ]
    return "\n\n".join((chance.choice(rules), *_ALWAYS)) + "\n"


def _accepted(case: Case) -> bool:
    try:
        module = read_module(case.file, case.module, syntax_tree(case.file, case.module))
    except RegoError:
        return False
    problems = lint([module], [])
    return all(problem.severity == "warning" or problem.code in _NO_MATTER for problem in problems)


def _given(claims: Object | None = None) -> Object:
    document = sample()
    changes: dict[tuple[str, str], JSON] = {
        ("time", "now_ns"): 1_790_000_000_123_456_789,
        ("key", "expires_ns"): 1 << 62,
        ("usage", "tokens_day"): 123_456_789,
        ("request", "temperature"): 0.7,
        ("request", "max_tokens"): 1 << 20,
        ("model", "resolved"): "Qwen3",
        ("model", "requested"): "😀",
    }
    for path, value in changes.items():
        inner = document[path[0]]
        assert isinstance(inner, dict)
        inner[path[1]] = value
    caller = document["caller"]
    assert isinstance(caller, dict)
    caller["claims"] = {} if claims is None else claims
    return {**document, "models": ["b", "a"]}


def test_what_the_check_accepts_both_engines_answer_alike(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    made = [Case("made", str(n), 10_000 + n, _module(_expression(chance)), _given()) for n in range(_MADE)]
    accepted = [case for case in made if _accepted(case)]
    assert len(accepted) >= _ENOUGH
    assert _different(accepted, tmp_path) == {}


def test_whatever_callers_send_it_is_alike(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    texts = [
        text for text in {_policy(chance): None for _ in range(_POLICIES)} if _accepted(Case("made", "", 0, text, {}))
    ]
    assert len(texts) >= _ENOUGH_POLICIES
    sent = [(text, _given(claims)) for text in texts for claims in _SENT]
    cases = [Case("made", str(n), 10_000 + n, text, given) for n, (text, given) in enumerate(sent)]
    assert _different(cases, tmp_path) == {}


def _different(cases: list[Case], folder: Path) -> dict[str, tuple[str, str, str]]:
    opa, embedded = by_opa(cases, folder), by_embedded(cases, folder)
    return {
        case.text: (opa[case.name], embedded[case.name], json.dumps(case.given["caller"]))
        for case in cases
        if opa[case.name] != embedded[case.name]
    }
