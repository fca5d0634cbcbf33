"""Numbers lead to traces: what Prometheus keeps beside a bucket is the id of a request that was counted in it."""

from __future__ import annotations

from pathlib import Path

from policies.json import as_object
from tests.system.calls import CHAT, chat
from tests.system.conftest import Launch
from tests.system.process import until
from tests.system.prometheus import Prometheus


def test_exemplars_are_ids_of_requests_whose_trace_was_kept(launch: Launch, tmp_path: Path) -> None:
    """The collector is away, which changes nothing."""
    gateway = launch(telemetry={"otlp": "http://127.0.0.1:9", "sample": 1.0})
    scraper, key = gateway.create_key("scraper", "--scope", "metrics:read"), gateway.create_key("ann")
    with Prometheus(tmp_path / "prometheus", gateway, scraper) as prometheus:
        asked: set[str | None] = set()

        def found() -> bool:
            answer = gateway.post(CHAT, chat(), key.bearer)
            assert answer.status == 200
            asked.add(answer.head.get("x-request-id"))
            exemplars = prometheus.exemplars("gen_ai_server_request_duration_seconds_bucket", 120.0)
            ids = {as_object(each["labels"])["trace_id"] for each in exemplars}
            assert ids <= asked
            return bool(ids)

        until(found, 60.0, "an exemplar")
