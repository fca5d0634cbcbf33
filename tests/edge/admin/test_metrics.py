"""`GET /metrics`: for keys with scope `metrics:read` or `admin` alone, in the format asked for, never in one go."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from edge.admin.metrics import MetricsPage
from edge.identity.grant import Grant
from observability.metrics import catalogue as names
from observability.metrics.exposition import CLASSIC
from observability.metrics.registry import Registry
from policies.principal import Scope
from tests.edge.admin.harness import admin
from tests.edge.admin.test_handler import code


async def test_a_key_for_metrics_opens_metrics_and_nothing_else(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        scraper = door.store.create(Grant("scraper", scopes=(Scope.METRICS_READ,)))[1].text
        fleet = door.store.create(Grant("fleet", scopes=(Scope.POLICY_SYNC, Scope.INFERENCE)))[1].text
        door.reload_keys()
        answer = await door.ask("GET", "/metrics", key=scraper)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b"# TYPE llm_gateway_engine_loads_total counter" in answer.body
        assert (await door.ask("GET", "/metrics")).status == 200
        for key in (fleet, door.plain):
            answer = await door.ask("GET", "/metrics", key=key)
            assert (answer.status, code(answer)) == (403, "scope_missing")
        for method, path in (("GET", "/policy"), ("GET", "/policy/bundle.tar.gz"), ("POST", "/policy/status")):
            answer = await door.ask(method, path, key=scraper)
            assert (answer.status, code(answer)) == (403, "scope_missing")


async def test_a_stranger_gets_nothing(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        answer = await door.ask("GET", "/metrics", key=None)
        assert (answer.status, code(answer)) == (401, "missing_credential")
        answer = await door.ask("POST", "/metrics")
        assert (answer.status, code(answer)) == (404, "unknown_route")


async def test_openmetrics_where_it_is_asked_for(tmp_path: Path) -> None:
    async with admin(tmp_path) as door:
        answer = await door.ask("GET", "/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"})
        assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        families = list(text_string_to_metric_families(answer.body.decode()))
        assert [family.name for family in families] == [
            "llm_gateway_engine_loads",
            "llm_gateway_telemetry_series_dropped",
        ]


async def test_others_have_their_turn_while_a_large_page_is_written() -> None:
    """With 2,000 series in each of three histograms the loop is never kept for long: a page of half a second in one go
    would let nobody else in at all."""
    registry = Registry(time.time)
    for family in (names.SERVER_DURATION, names.HTTP_DURATION, names.CLIENT_DURATION):
        histogram = registry.histogram(family)
        for number in range(names.MOST_SERIES):
            histogram.observe((str(number),) * len(family.labels), 0.5)
    page = MetricsPage(registry, clock=time.monotonic)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        rest = group.create_task(others())
        body = await page.text(CLASSIC)
        rest.cancel()
    assert body.count(b"_count") == 3 * names.MOST_SERIES
    assert turns > 20
