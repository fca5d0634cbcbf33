"""Reads the boards and rules as Prometheus and Grafana do: from their files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from policies.json import Object, as_list, as_object, as_str

ROOT: Final = Path(__file__).resolve().parents[3]
GRAFANA: Final = ROOT / "observability" / "grafana"
PROMETHEUS: Final = ROOT / "observability" / "prometheus"
RULES: Final = PROMETHEUS / "rules.yaml"
CASES: Final = PROMETHEUS / "rules_test.yaml"

_STRING: Final = re.compile(r'"[^"]*"')
_GROUPING: Final = re.compile(r"\b(?:by|on|without|group_left|ignoring)\s*\(([^()]*)\)")
_BRACES: Final = r'\{(?:[^{}"]|"[^"]*")*\}'
_SELECTOR: Final = re.compile(rf'"[^"]*"|(?<![\w:.])([a-zA-Z_:][\w:]*)\b({_BRACES})?(?!\s*\()')
_WORDS: Final = frozenset({"or", "and", "unless", "group_left", "offset", "bool"})


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, and where it stands."""

    where: str
    text: str


def boards() -> dict[str, Object]:
    """All dashboards, by the names of their files."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GRAFANA.glob("*.json"))}


def panels(board: Object) -> list[Object]:
    """The panels of a board, without its row titles."""
    return [panel for panel in map(as_object, as_list(board["panels"])) if panel["type"] != "row"]


def shown() -> list[Expression]:
    """Every expression of every board."""
    return [
        Expression(f"{name}: {as_str(panel['title'])}", as_str(as_object(target)["expr"]))
        for name, board in boards().items()
        for panel in panels(board)
        for target in as_list(panel["targets"])
        if "expr" in as_object(target)
    ]


def rules() -> list[Object]:
    """Every rule."""
    document = as_object(yaml.safe_load(RULES.read_text(encoding="utf-8")))
    return [as_object(rule) for group in as_list(document["groups"]) for rule in as_list(as_object(group)["rules"])]


def records() -> list[Expression]:
    """What is recorded."""
    return [Expression(as_str(rule["record"]), as_str(rule["expr"])) for rule in rules() if "record" in rule]


def alerts() -> list[Object]:
    """The alerts."""
    return [rule for rule in rules() if "alert" in rule]


def filled(text: str, every: str = "1m", over: str = "5m") -> str:
    """An expression with the variables as Grafana fills them in when everything is chosen."""
    text = text.replace("$__rate_interval", every).replace("$__range", over)
    return re.sub(r'=~"\$\w+"', '=~".*"', text)


def selectors(text: str) -> Iterator[tuple[str, str]]:
    """The metrics in an expression with their matchers: ("up", '{job="x"}')."""
    bare = re.sub(r"\[[^\]]*\]|(?<=\boffset )\w+", " ", _GROUPING.sub(" ", filled(text)))
    for found in _SELECTOR.finditer(bare):
        if found[1] and found[1] not in _WORDS:
            yield found[1], found[2] or ""


def labels(text: str) -> set[str]:
    """The labels that an expression matches or groups by."""
    grouped = {name.strip() for group in _GROUPING.findall(text) for name in group.split(",")}
    braces = " ".join(matchers for _, matchers in selectors(text))
    return (grouped | set(re.findall(r"(\w+)\s*(?:=|!)", _STRING.sub("", braces)))) - {""}
