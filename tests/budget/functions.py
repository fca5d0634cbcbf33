"""Where it goes: functions by their own instructions; and what has changed between two measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tests.budget.remote import Functions, Sample


def top(functions: Functions, most: int) -> str:
    """The `most` costly ones, a line each."""
    ranked = sorted(functions.items(), key=lambda item: (-item[1][0], item[0]))
    return "".join(f"{own:>9,} {calls:>6,}  {name}\n" for name, (own, calls) in ranked[:most])


def changes(before: Functions, after: Functions) -> str:
    """Each function that does more or less than before, the greatest change first; "" if none does."""
    names = sorted(before.keys() | after.keys())
    pairs = [(name, before.get(name, [0, 0]), after.get(name, [0, 0])) for name in names]
    changed = [(now[0] - then[0], now[1] - then[1], name) for name, then, now in pairs if then != now]
    changed.sort(key=lambda change: -abs(change[0]))
    return "".join(f"{own:>+9,} {calls:>+6,}  {name}\n" for own, calls, name in changed)


def save(file: Path, found: Mapping[str, Sample]) -> None:
    """Keep a measurement for `load`."""
    file.write_text(json.dumps({workload: sample.functions for workload, sample in found.items()}, indent=1) + "\n")


def load(file: Path) -> dict[str, Sample]:
    """What `save` wrote."""
    document = cast("dict[str, Functions]", json.loads(file.read_text()))
    return {workload: Sample(functions) for workload, functions in document.items()}
