"""Tables for the terminal and for pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.goals import Verdict
from tests.benchmarks.plots import shown

MET = {True: "met", False: "missed", None: "-"}


def table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, for a terminal."""
    cells = [list(names), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(("", title, *lines, ""))


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as Markdown, columns of numbers to the right."""
    columns = [[row[number] for row in rows] for number in range(len(names))]
    rule = ["--:" if all(map(_numeric, column)) else "---" for column in columns]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (names, rule, *rows))


def _numeric(cell: str) -> bool:
    return cell[:1] in set("-0123456789")


def judged(verdicts: Sequence[Verdict]) -> tuple[list[str], list[list[str]]]:
    """Names and rows of the table of goals."""
    rows = [
        [
            f"{verdict.goal.workload}: {verdict.goal.what}",
            verdict.goal.bound,
            "not measured" if verdict.found is None else shown(verdict.found) + verdict.goal.unit,
            MET[verdict.met],
        ]
        for verdict in verdicts
    ]
    return ["", "goal", "found", ""], rows
