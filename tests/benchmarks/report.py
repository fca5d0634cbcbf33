"""The table a person reads and the document a script reads."""

from __future__ import annotations

from collections.abc import Sequence

from policies.json import JSON, Object, as_object

Row = Sequence[JSON]


def table(title: str, names: Sequence[str], rows: Sequence[Row]) -> str:
    """A table with aligned columns."""
    cells = [list(names), *[[_cell(value) for value in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(("", title, *lines, ""))


def _cell(value: JSON) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    return "-" if value is None else str(value)


def compared(results: Sequence[Object], control: str, measure: str) -> list[Object]:
    """Each result with its difference to `direct` (`added_`) and its ratio to `control` (`ratio_`) in `measure`."""
    found = {str(result["contender"]): _number(result[measure]) for result in results}
    direct, reference = found["direct"], found[control]
    return [
        {
            **result,
            f"added_{measure}": round(found[str(result["contender"])] - direct, 3),
            f"ratio_{measure}": round(found[str(result["contender"])] / reference, 3) if reference else None,
        }
        for result in results
    ]


def _number(value: JSON) -> float:
    assert isinstance(value, int | float)
    return float(value)


def rows(results: Sequence[Object], names: Sequence[str]) -> list[Row]:
    """The named columns of each result."""
    return [[as_object(result).get(name) for name in names] for result in results]
