"""A request costs what it may: a regression shows although the machine is noisy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget import figures
from tests.budget.measuring import measure


def test_every_workload_keeps_to_its_budget(tmp_path: Path) -> None:
    where = figures.here()
    allowed = figures.read(where)
    if allowed is None:
        pytest.skip(figures.none(where))
    said: list[str] = []
    # Twice: a machine that stands still for seconds moves work from one request to another.
    for attempt in ("first", "second"):
        said = _wrong(tmp_path / attempt, allowed)
        if not said:
            return
    pytest.fail("\n".join(("", *said, "", figures.HINT)), pytrace=False)


def _wrong(folder: Path, allowed: figures.Figures) -> list[str]:
    return figures.wrong({workload: sample.cost for workload, sample in measure(folder).items()}, allowed)
