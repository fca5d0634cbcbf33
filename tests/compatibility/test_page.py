"""The committed page says what a run shows. `LLM_GATEWAY_COMPATIBILITY=write` writes it (`make compatibility`)."""

from __future__ import annotations

import os

from engines.contract import Kind
from tests.compatibility.grid import CELLS, TRIED, Cell, Surface
from tests.compatibility.page import FILE, Result, row, written


def test_the_cells_are_all_there_are() -> None:
    assert {cell.surface for cell in CELLS} == set(TRIED) == set(Surface)
    assert {cell.kind for cell in CELLS} == set(Kind)


def test_the_page_is_what_the_run_has_shown(results: dict[Cell, Result]) -> None:
    """Of a part of the tests, those lines of the page whose cells were all tried."""
    if set(results) == set(CELLS):
        if os.environ.get("LLM_GATEWAY_COMPATIBILITY") == "write":
            FILE.write_text(written(results), encoding="utf-8")
        assert FILE.read_text(encoding="utf-8") == written(results), "make compatibility"
        return
    page = FILE.read_text(encoding="utf-8")
    for surface, tried in TRIED.items():
        for kind in Kind:
            if all(Cell(surface, kind, scenario) in results for scenario in tried):
                assert row(surface, kind, results) in page, "make compatibility"
