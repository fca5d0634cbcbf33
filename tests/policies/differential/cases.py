"""The cases: small policies, each of which both engines are asked about. `cases/*.txt`, one topic each.

### name of the case
v := the value that is compared
# input: {"optional": "input document"}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from policies.json import Object

_FOLDER = Path(__file__).parent / "cases"
_INPUT = re.compile(r"^# input: (.*)\n", re.MULTILINE)

SHARED = ("shared.rego", "package gateway.shared\n\nname := 1\n")
"""A second package, for the cases that import one."""
DATA: Object = {"x": {"y": 1}}
"""What stands at `data.gwcfg`."""


@dataclass(frozen=True)
class Case:
    """`v` of `package` in `module` is compared, for the input `given`."""

    topic: str
    name: str
    number: int
    text: str
    given: Object

    @property
    def package(self) -> str:
        return f"gateway.cases.c{self.number}"

    @property
    def file(self) -> str:
        return f"c{self.number}.rego"

    @property
    def module(self) -> str:
        return f"package {self.package}\n\n{self.text}"


@cache
def cases() -> tuple[Case, ...]:
    """All of them, in the order of the files."""
    found: list[Case] = []
    for path in sorted(_FOLDER.glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("### ")[1:]:
            name, _, text = block.partition("\n")
            given = _INPUT.search(text)
            document: Object = json.loads(given.group(1)) if given else {}
            found.append(Case(path.stem, name, len(found), _INPUT.sub("", text), document))
    return tuple(found)
