"""The dashboards: what stands in their files, and that it fits together."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from observability.boards.__main__ import BOARDS, FOLDER, written
from observability.boards.panels import COLUMNS, Board
from observability.metrics.catalogue import CATALOGUE, MODEL
from observability.metrics.naming import base_name, plain, sample_name
from observability.metrics.snapshot import Family, Kind
from policies.json import JSON, Object, as_list, as_object, as_str
from tests.observability.boards.files import alerts, boards, labels, panels, records, selectors, shown

OF_PROMETHEUS = {"instance", "job", "le", "alertname", "alertstate", "part"}
WITHOUT_A_PICTURE: dict[str, str] = {"llm_gateway.energy.available": "says that there is nothing to draw"}


def whole(value: JSON) -> int:
    assert isinstance(value, int)
    return value


def samples(family: Family) -> set[str]:
    if family.kind is Kind.HISTOGRAM:
        return {f"{base_name(family)}_{end}" for end in ("bucket", "sum", "count")}
    return {sample_name(family)}


KNOWN = {name: family for family in CATALOGUE for name in samples(family)}
RECORDED = {record.where for record in records()}
EXPRESSIONS = [*shown(), *records()]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_files_are_what_the_generator_writes(board: Board) -> None:
    file = FOLDER / f"{board.name}.json"
    assert file.read_text(encoding="utf-8") == written(board), "run: python -m observability.boards"


def test_no_board_is_left_over() -> None:
    assert (
        set(boards()) == {board.name for board in BOARDS} == {"overview", "callers", "engines", "security", "request"}
    )


@pytest.mark.parametrize("text", [each.text for each in EXPRESSIONS], ids=[each.where for each in EXPRESSIONS])
def test_expressions_name_metrics_and_labels_that_exist(text: str) -> None:
    used = [name for name, _ in selectors(text)]
    assert used, "no metric in it"
    assert [name for name in used if name not in KNOWN and name not in RECORDED and name != "up"] == []
    families = [KNOWN[name] for name in used if name in KNOWN]
    if families:
        known = {plain(label) for family in families for label in family.labels}
        assert labels(text) - known - OF_PROMETHEUS == set()


def test_alerts_name_metrics_that_exist() -> None:
    unknown = {
        as_str(alert["alert"]): name
        for alert in alerts()
        for name, _ in selectors(as_str(alert["expr"]))
        if name not in KNOWN and name not in RECORDED and name != "up"
    }
    assert unknown == {}


def test_every_metric_is_on_a_board() -> None:
    """What nobody looks at need not be counted."""
    seen = {name for each in EXPRESSIONS for name, _ in selectors(each.text)}
    unseen = {family.name for family in CATALOGUE if not samples(family) & seen}
    assert unseen == set(WITHOUT_A_PICTURE)


def test_panels_lie_side_by_side() -> None:
    for name, board in boards().items():
        taken: Counter[tuple[int, int]] = Counter()
        for panel in map(as_object, as_list(board["panels"])):
            place = as_object(panel["gridPos"])
            x, y, w, h = (whole(place[side]) for side in "xywh")
            assert x + w <= COLUMNS, panel["title"]
            taken.update((column, line) for column in range(x, x + w) for line in range(y, y + h))
        assert max(taken.values()) == 1, f"panels of {name} overlap"


def test_names_and_numbers_are_unique() -> None:
    uids = [board["uid"] for board in boards().values()]
    assert len(set(map(str, uids))) == len(uids)
    for board in boards().values():
        numbers = [whole(as_object(panel)["id"]) for panel in as_list(board["panels"])]
        assert len(set(numbers)) == len(numbers)
        titles = [as_str(panel["title"]) for panel in panels(board)]
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", list(boards()))
def test_variables_exist_and_are_used(name: str) -> None:
    board = boards()[name]
    declared = {as_str(as_object(variable)["name"]) for variable in variables(board)}
    text = str(board["panels"])
    used = set(re.findall(r"\$\{?(\w+)\}?", text)) - {"__rate_interval", "__range"}
    assert used == declared


def variables(board: Object) -> list[Object]:
    return [as_object(each) for each in as_list(as_object(board["templating"])["list"])]


def test_all_means_series_without_the_label_too() -> None:
    """A refused request was served by no model: `.+` would hide it."""
    found = [each for board in boards().values() for each in variables(board) if each["type"] == "query"]
    assert {as_str(each["allValue"]) for each in found} == {".*"}
    assert any(plain(MODEL) in as_str(each["definition"]) for each in found)


def test_rates_use_the_interval_that_fits_the_scrapes() -> None:
    odd = [each.where for each in shown() if re.search(r"rate\([^()]*\[(?!\$__rate_interval|\$__range)", each.text)]
    assert odd == []
