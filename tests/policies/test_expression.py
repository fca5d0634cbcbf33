"""A glob means one thing: in Python, in the embedded engine and in OPA."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import regorus
from hypothesis import given
from hypothesis import strategies as st

from policies.names import expression, matches
from tests.policies.strategies import CANONICAL, GLOBS

OPA = Path(sys.executable).parent / "opa"
POLICY = """package t
matching := [i | some i, pair in input; regex.match(pair[0], pair[1])]
"""
# Also what no key and no grant can hold: a pattern in a policy's own data may be anything.
ALPHABET = "abzAZ09*?.:/-_@+ ~#&|()[]{}^$\\\"'<>%é界"


def question(pairs: list[tuple[str, str]]) -> str:
    return json.dumps([[expression(glob), name] for glob, name in pairs])


def by_hand(pairs: list[tuple[str, str]]) -> list[int]:
    return [i for i, (glob, name) in enumerate(pairs) if matches(glob, name)]


def embedded(pairs: list[tuple[str, str]]) -> list[int]:
    engine = regorus.Engine()
    engine.add_policy("t.rego", POLICY)
    engine.set_input_json(question(pairs))
    found: list[int] = json.loads(engine.eval_rule_as_json("data.t.matching"))
    return found


@given(st.lists(st.tuples(GLOBS, CANONICAL) | st.tuples(CANONICAL.map(lambda name: name[:-1] + "*"), CANONICAL)))
def test_the_embedded_engine_reads_globs_as_python_does(pairs: list[tuple[str, str]]) -> None:
    assert embedded(pairs) == by_hand(pairs)


def test_both_engines_read_the_oddest_globs_as_python_does(tmp_path: Path) -> None:
    pairs = odd_pairs(random.Random(20_261_121), 5_000)
    expected = by_hand(pairs)
    assert 1_000 < len(expected) < 4_000
    assert embedded(pairs) == expected
    (tmp_path / "t.rego").write_text(POLICY)
    (tmp_path / "input.json").write_text(question(pairs))
    command = [str(OPA), "eval", "--strict-builtin-errors", "--format=raw", "-d", "t.rego", "-i", "input.json"]
    done = subprocess.run(
        [*command, "data.t.matching"], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True
    )
    assert json.loads(done.stdout) == expected


def odd_pairs(chance: random.Random, count: int) -> list[tuple[str, str]]:
    """Globs with names that they cover, and with names that they may not."""
    pairs = []
    for _ in range(count):
        name = "".join(chance.choices(ALPHABET, k=chance.randrange(10)))
        glob = "".join("*" if chance.random() < 0.1 else "?" if chance.random() < 0.1 else c for c in name)
        prefix = chance.choice(["", "", "", "ai/", "hf.co/", "docker.io/"])
        suffix = chance.choice(["", "", "", "*", ":latest", "x"])
        pairs.append((prefix + glob + suffix, name))
    return pairs
