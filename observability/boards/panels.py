"""What boards are made of, and the JSON that Grafana (10 or newer, "classic" schema) reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from policies.json import JSON, Object

COLUMNS: Final = 24
"""Of Grafana's grid."""
_SCHEMA: Final = 39
PROMETHEUS: Final[Object] = {"type": "prometheus", "uid": "${datasource}"}
TRACES: Final[Object] = {"type": "jaeger", "uid": "${traces}"}
EVERY: Final = "$__rate_interval"

AT: Final = 'llm_gateway_listener=~"$listener"'
MODEL: Final = 'gen_ai_response_model=~"$model"'
CALLER: Final = 'llm_gateway_caller=~"$caller"'


@dataclass(frozen=True, slots=True)
class Query:
    """One expression. `legend` names its series (`{{label}}`); `exemplar` asks for the traces behind the numbers."""

    expr: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit` is Grafana's id of a unit; `options` and `defaults` go into the panel as they are."""

    title: str
    kind: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    height: int = 8
    about: str = ""
    options: Object = field(default_factory=dict)
    defaults: Object = field(default_factory=dict)
    extra: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A title and what stands below it, from left to right, in as many lines as it takes."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `name` is that of its file, and its uid with `llm-gateway-` before it."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[Object, ...]

    def document(self) -> Object:
        """What stands in the file."""
        return {
            "uid": f"llm-gateway-{self.name}",
            "title": f"LLM gateway / {self.title}",
            "description": self.about,
            "tags": ["llm-gateway"],
            "schemaVersion": _SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": "now-1h", "to": "now"},
            "refresh": "30s",
            "links": [_OTHERS],
            "templating": {"list": [*self.variables]},
            "annotations": {"list": [_ALERTS]},
            "panels": list(_laid(self.rows)),
        }


_OTHERS: Final[Object] = {
    "type": "dashboards",
    "tags": ["llm-gateway"],
    "title": "Boards",
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
}
_ALERTS: Final[Object] = {
    "name": "Alerts",
    "datasource": PROMETHEUS,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertname=~"LLMGateway.+", alertstate="firing"}',
    "titleFormat": "{{alertname}}",
}

# -- panels


def stat(title: str, expr: str, unit: str, about: str = "", *, none: str = "-") -> Panel:
    """One number; `none` is shown where there is nothing to show."""
    options: Object = {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "none"}
    return Panel(title, "stat", (Query(expr),), unit, 4, 4, about, options, {"noValue": none})


def lines(title: str, *queries: Query, unit: str = "short", about: str = "", width: int = 8) -> Panel:
    """Curves."""
    options: Object = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel(title, "timeseries", queries, unit, width, 8, about, options, {"min": 0, "custom": {"fillOpacity": 8}})


def stacked(title: str, *queries: Query, unit: str = "short", about: str = "", width: int = 8) -> Panel:
    """Curves on top of each other: parts of a whole."""
    custom: Object = {"fillOpacity": 40, "stacking": {"mode": "normal"}}
    return replace(lines(title, *queries, unit=unit, about=about, width=width), defaults={"min": 0, "custom": custom})


def table(title: str, *queries: Query, unit: str = "short", about: str = "", width: int = 12) -> Panel:
    """Rows of labels, and a column of numbers for each query (its legend is the column's name)."""
    names: Object = {f"Value #{chr(65 + place)}": query.legend for place, query in enumerate(queries)}
    hidden: Object = {"excludeByName": {"Time": True}, "renameByName": names}
    extra: Object = {"transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": hidden}]}
    return Panel(title, "table", queries, unit, width, 8, about, extra=extra)


def heatmap(title: str, metric: str, matchers: str, about: str = "", width: int = 12) -> Panel:
    """How the values of a histogram of seconds are spread over time, with exemplars."""
    expr = f"sum by (le) (rate({metric}_bucket{{{matchers}}}[{EVERY}]))"
    options: Object = {"calculate": False, "yAxis": {"unit": "s"}, "exemplars": {"color": "orange"}}
    return Panel(title, "heatmap", (Query(expr, "{{le}}", exemplar=True),), "s", width, 9, about, options)


def text(title: str, markdown: str, width: int = 24, height: int = 5) -> Panel:
    """Words."""
    return Panel(title, "text", (), width=width, height=height, options={"mode": "markdown", "content": markdown})


def trace(title: str, variable: str) -> Panel:
    """The spans of the trace whose id stands in a variable."""
    target: Object = {"refId": "A", "datasource": TRACES, "query": f"${variable}", "queryType": ""}
    return Panel(title, "traces", (), width=24, height=16, extra={"datasource": TRACES, "targets": [target]})


def quantiles(metric: str, matchers: str, *wanted: float, by: str = "", exemplar: bool = False) -> tuple[Query, ...]:
    """Curves of quantiles of a histogram, e.g. 0.5 and 0.95, of everything or by a label."""
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        Query(quantile(each, metric, matchers, by), f"p{each * 100:g}{legend}", exemplar=exemplar) for each in wanted
    )


def quantile(wanted: float, metric: str, matchers: str, by: str = "", over: str = EVERY) -> str:
    """One quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({wanted:g}, sum by ({labels}) (rate({metric}_bucket{{{matchers}}}[{over}])))"


def mean(metric: str, matchers: str = "", by: str = "") -> str:
    """The mean of a histogram's values."""
    grouped = f"sum by ({by})" if by else "sum"
    total, count = (f"{grouped} (rate({metric}_{part}{{{matchers}}}[{EVERY}]))" for part in ("sum", "count"))
    return f"{total} / {count}"


# -- variables


def source(name: str, label: str, kind: str) -> Object:
    """Which data source of a kind."""
    return {"name": name, "label": label, "type": "datasource", "query": kind, "refresh": 1, "hide": 0}


def choice(name: str, label: str, metric: str, of: str) -> Object:
    """Any of the values of a label; all of them, and series without the label, to begin with."""
    values = f"label_values({metric}, {of})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": PROMETHEUS,
        "definition": values,
        "query": {"query": values, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def typed(name: str, label: str) -> Object:
    """What the reader writes."""
    return {"name": name, "label": label, "type": "textbox", "query": "", "current": {"text": "", "value": ""}}


DATASOURCE: Final = source("datasource", "Prometheus", "prometheus")
LISTENERS: Final = choice("listener", "Listener", "llm_gateway_requests_total", "llm_gateway_listener")
MODELS: Final = choice("model", "Model", "llm_gateway_requests_total", "gen_ai_response_model")
CALLERS: Final = choice("caller", "Caller", "llm_gateway_requests_total", "llm_gateway_caller")
USUAL: Final = (DATASOURCE, LISTENERS, MODELS, CALLERS)

# -- layout


def _laid(rows: Sequence[Row]) -> Iterator[JSON]:
    number, top = 1, 0
    for row in rows:
        place: Object = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        number, top = number + 1, top + 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            yield _written(panel, number, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            number, left, tallest = number + 1, left + panel.width, max(tallest, panel.height)
        top += tallest


def _written(panel: Panel, number: int, place: Object) -> Object:
    document: Object = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": PROMETHEUS,
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": []},
        "options": panel.options,
        "targets": [_target(query, panel.kind, place) for place, query in enumerate(panel.queries)],
    }
    return {**document, **panel.extra}


def _target(query: Query, kind: str, place: int) -> Object:
    document: Object = {
        "refId": chr(65 + place),
        "datasource": PROMETHEUS,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "exemplar": query.exemplar,
    }
    if kind == "table":
        return {**document, "instant": True, "range": False, "format": "table"}
    return {**document, "format": "heatmap" if kind == "heatmap" else "time_series"}
