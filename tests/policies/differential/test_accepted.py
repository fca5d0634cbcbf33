"""What `policy check` accepts of numbers, lengths, letters and order means the same to both engines.

Random expressions of what the engines are known to part over; those that the check lets through are evaluated by both.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from policies.embedded.agreement import disagreements
from policies.embedded.graph import Names
from policies.embedded.kinds import wrong_kinds
from policies.embedded.known import sample
from policies.embedded.parse import read_module
from policies.embedded.portable import ARGUMENTS
from policies.embedded.rego import RegoError, syntax_tree
from policies.embedded.tree import Call, inside_rule
from policies.embedded.values import Values
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
_MADE: Final = 1_500
_ENOUGH: Final = 150


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


def _accepted(case: Case) -> bool:
    try:
        module = read_module(case.file, case.module, syntax_tree(case.file, case.module))
    except RegoError:
        return False
    values = Values([module], Names([module]))
    return not any(
        [
            *(found for rule in module.rules for found in disagreements(module, rule, values)),
            *(found for rule in module.rules for item in inside_rule(rule) for found in wrong_kinds(item)),
            *(
                item
                for rule in module.rules
                for item in inside_rule(rule)
                if isinstance(item, Call) and item.name not in {*ARGUMENTS, "f", "g"}
            ),
        ]
    )


def _given() -> Object:
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
    return {**document, "models": ["b", "a"]}


def test_what_the_check_accepts_both_engines_answer_alike(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    made = [Case("made", str(n), 10_000 + n, _module(_expression(chance)), _given()) for n in range(_MADE)]
    accepted = [case for case in made if _accepted(case)]
    assert len(accepted) >= _ENOUGH
    opa, embedded = by_opa(accepted, tmp_path), by_embedded(accepted, tmp_path)
    different = {case.text.partition("\n")[0]: (opa[case.name], embedded[case.name]) for case in accepted}
    assert {text: told for text, told in different.items() if told[0] != told[1]} == {}
