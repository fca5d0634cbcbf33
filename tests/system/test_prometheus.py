"""A real Prometheus scrapes a gateway under mixed load: every expression of every board and rule has rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from policies.json import as_str
from tests.observability.boards.files import alerts, filled, records, selectors, shown
from tests.system.conftest import Launch
from tests.system.mixed_load import MixedLoad, settings
from tests.system.process import Gateway, until
from tests.system.prometheus import Prometheus
from tests.system.recording_engine import RecordingEngine

ONLY_IN_TROUBLE = {
    "llm_gateway_telemetry_series_dropped_total": "more than 2,000 series in one family",
    "llm_gateway_redis_up": "a gateway without Redis has none: test_metrics_redis.py",
}
"""What may have no series while all is well, and why. promtool shows that alerts on them work: rules_test.yaml."""
ONLY_FOR_ALERTS = {
    'llm_gateway_requests_total{llm_gateway_reason="internal"}': "a fault of the gateway",
    'llm_gateway_requests_total{llm_gateway_reason="ledger_unavailable"}': "a disk that is full",
    'llm_gateway_requests_total{llm_gateway_reason=~"policy_failed|policy_obligation"}': "a policy that is broken",
}


@contextmanager
def traffic(load: MixedLoad) -> Iterator[None]:
    """Round after round until the end of the block."""
    over = threading.Event()
    troubles: list[Exception] = []

    def run() -> None:
        try:
            while not over.is_set():
                load.round()
        except Exception as error:  # noqa: BLE001 - told below
            troubles.append(error)

    thread = threading.Thread(target=run, name="mixed load")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60.0)
    assert troubles == []


def expected() -> dict[str, str]:
    """Every expression that must have rows, and where it stands."""
    pictures = {filled(each.text): each.where for each in (*shown(), *records())}
    parts = {
        name + matchers: as_str(alert["alert"])
        for alert in alerts()
        for name, matchers in selectors(as_str(alert["expr"]))
        if name + matchers not in ONLY_FOR_ALERTS
    }
    return {
        text: where
        for text, where in {**parts, **pictures}.items()
        if not any(name in ONLY_IN_TROUBLE for name, _ in selectors(text))
    }


@pytest.mark.timeout(240)
def test_every_expression_of_every_board_and_rule_has_rows(
    launch: Launch, engine: RecordingEngine, tmp_path: Path
) -> None:
    gateway: Gateway = launch(env=None, like=None, **settings(engine.url))
    scraper = gateway.create_key("scraper", "--scope", "metrics:read")
    load = MixedLoad(gateway, engine)
    missing = expected()
    assert len(missing) > 100
    with Prometheus(tmp_path / "prometheus", gateway, scraper) as prometheus, traffic(load):

        def all_shown() -> bool:
            for text in list(missing):
                if prometheus.has_numbers(text):
                    del missing[text]
            return not missing

        try:
            until(all_shown, 120.0, "every expression has rows")
        except AssertionError:
            pytest.fail("no rows:\n" + "\n".join(f"{where}: {text}" for text, where in missing.items()))
        assert prometheus.rule_troubles() == []
        for alert in alerts():
            _ = prometheus.now(as_str(alert["expr"]))
        for text, trouble in ONLY_FOR_ALERTS.items():
            assert prometheus.now(text) == [], f"there was no {trouble}"
