"""docs/observing.md lists every metric that there is, with its labels and help as they are, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from observability.metrics.catalogue import CATALOGUE, MOST_SERIES
from observability.metrics.naming import plain, sample_name
from observability.metrics.snapshot import Family
from policies.principal import Scope

TEXT = (Path(__file__).parents[3] / "docs" / "observing.md").read_text(encoding="utf-8")
HEADING = "| metric | kind | labels | |\n|---|---|---|---|"


def row(family: Family) -> str:
    """A family as the table has it."""
    labels = ", ".join(f"`{plain(label)}`" for label in family.labels)
    return f"| `{sample_name(family)}` | {family.kind.value} | {labels} | {family.help} |"


def table() -> str:
    """The whole table: to be pasted between the two comments."""
    return "\n".join((HEADING, *map(row, CATALOGUE)))


def test_the_table_is_the_catalogue() -> None:
    found = re.search(r"<!-- metrics: .*?-->\n(.*?)\n<!-- end -->", TEXT, re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == table().splitlines()


def test_the_text_says_what_is_so() -> None:
    assert f"{MOST_SERIES:,} series" in TEXT
    assert Scope.METRICS_READ.value in TEXT
    names = set(re.findall(r"\b(?:llm_gateway|gen_ai_(?:server|client)|process)_\w+", TEXT))
    families = {sample_name(family) for family in CATALOGUE}
    labels = {plain(label) for family in CATALOGUE for label in family.labels}
    unknown = {name for name in names if re.sub(r"_(bucket|sum|count)$", "", name) not in families | labels}
    assert unknown == set()
