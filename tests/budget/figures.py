"""budget.json: what each workload may cost, for each version of Python and system; and how a measurement compares."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policies.json import JSON, Object, as_object
from tests.budget.remote import Cost

FILE: Final = Path(__file__).with_name("budget.json")
SLACK: Final = 0.02
"""What is let pass above a figure. The same code gives the same count to the last instruction; other releases of the
same minor version have a slightly different standard library."""
WASTE: Final = 0.10
"""So far below its figure a count may be: what was gained and not written down could be lost again unseen."""
_NAMES: Final = {"instructions": "instructions", "c_calls": "C calls"}
HINT: Final = """\
where it goes     make budget ARGS="--functions 40"; in time: make profile
what has changed  make budget ARGS="--json before.json" on main, then make budget ARGS="--against before.json" here
on purpose        make budget ARGS=--write changes tests/budget/budget.json; say in the commit what it buys"""


def here() -> str:
    """What figures depend on: another version has other instructions, and another system takes other ways."""
    return f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}, {sys.platform}"


def none(where: str) -> str:
    """What to say where nothing was ever measured."""
    return f"no budget for {where}: `make budget ARGS=--write` there adds its figures to tests/budget/budget.json"


@dataclass(frozen=True, slots=True)
class Line:
    """One count beside its figure. `allowed` is None where there is none."""

    workload: str
    what: str
    counted: int
    allowed: int | None

    @property
    def change(self) -> float:
        """0.05: five percent more than allowed."""
        return self.counted / self.allowed - 1 if self.allowed else 0.0

    @property
    def wrong(self) -> str:
        """What is to be said of it; "" if it is well."""
        if self.allowed is None:
            return f"{self.workload}: no figure for its {self.what} ({self.counted:,} now)"
        if self.counted > self.allowed * (1 + SLACK):
            return (
                f"{self.workload}: {self.counted:,} {self.what}, {self.change:.1%} over the budget of {self.allowed:,}"
                f" ({SLACK:.0%} are let pass)"
            )
        if self.counted < self.allowed * (1 - WASTE):
            return (
                f"{self.workload}: {self.counted:,} {self.what}, {-self.change:.1%} less than the budget of "
                f"{self.allowed:,}: well done, and to be written down"
            )
        return ""


Figures = Mapping[str, Mapping[str, int]]
"""By workload and what is counted."""


def read(where: str, file: Path = FILE) -> Figures | None:
    """The figures for `where`, None if there are none."""
    document: JSON = json.loads(file.read_text()) if file.exists() else {}
    found = as_object(document).get(where)
    if found is None:
        return None
    return {workload: _counts(counts) for workload, counts in as_object(found).items()}


def write(where: str, costs: Mapping[str, Cost], file: Path = FILE) -> None:
    """Make `costs` the figures for `where`; those for others stay."""
    document: JSON = json.loads(file.read_text()) if file.exists() else {}
    figures: Object = {workload: dict[str, JSON](cost._asdict()) for workload, cost in costs.items()}
    ordered = dict(sorted({**as_object(document), where: figures}.items()))
    file.write_text(json.dumps(ordered, indent=2) + "\n")


def compare(costs: Mapping[str, Cost], figures: Figures) -> list[Line]:
    """Each count beside its figure."""
    return [
        Line(workload, _NAMES[what], count, figures.get(workload, {}).get(what))
        for workload, cost in costs.items()
        for what, count in cost._asdict().items()
    ]


def wrong(costs: Mapping[str, Cost], figures: Figures) -> list[str]:
    """All that is not as it should be, in words; [] if all is well."""
    gone = [f"{workload}: has a figure, and is not measured" for workload in figures if workload not in costs]
    return [line.wrong for line in compare(costs, figures) if line.wrong] + gone


def _counts(document: JSON) -> dict[str, int]:
    return {what: int(str(count)) for what, count in as_object(document).items()}
