"""What `/metrics` says agrees with what was sent, names nobody's words, and does not grow with what strangers send."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from policies.json import Object
from tests.system.calls import ASKED, CHAT, chat, chunks, events, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.prometheus import Prometheus
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PROMPT_TOKENS, Hold, Stream, always, talker
from tests.system.wire import compose

OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0"
CANARY = "canary-5e11"
TOKENS = 5
HOSTILE = 2_000


class Page:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Of all series of that name; labels by their last word: `listener="local"` is `llm_gateway_listener`."""
        return sum(
            float(sample.value)
            for sample in self.samples
            if sample.name == name
            and all(
                any(key.endswith(f"_{word}") and found == value for key, found in sample.labels.items())
                for word, value in labels.items()
            )
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """A gateway and a key that may read its metrics."""

    gateway: Gateway
    scraper: Key

    def page(self) -> Page:
        answer = self.gateway.get("/metrics", self.scraper.bearer, OPENMETRICS, admin=True)
        assert answer.status == 200
        return Page(answer.body.decode())

    def after(self, before: Page, requests: int) -> Page:
        """The page once so many more requests were counted: they are, a moment after the answer's last byte."""
        name, start = "llm_gateway_requests_total", before.sum("llm_gateway_requests_total", listener="local")
        until(lambda: self.page().sum(name, listener="local") - start >= requests, 10.0, f"{requests} are counted")
        page = self.page()
        assert page.sum(name, listener="local") - start == requests
        return page


@pytest.fixture
def counted(launch: Launch, engine: RecordingEngine) -> Counted:
    """Beside the engine that answers there is one that is away."""
    there: Object = {"name": "fake", "kind": "openai", "url": engine.url, "concurrency": 8}
    away: Object = {"name": "gone", "kind": "vllm", "url": "http://127.0.0.1:9", "model": "away"}
    gateway = launch(engines={"discover": False, "list": [there, away]})
    return Counted(gateway, gateway.create_key("scraper", "--scope", "metrics:read"))


def test_numbers_agree_with_what_was_sent(counted: Counted, engine: RecordingEngine) -> None:
    gateway = counted.gateway
    ann = gateway.create_key("ann")
    bob, poor = gateway.create_key("bob", "--model", "other*"), gateway.create_key("poor", "--rpm", "1")
    engine.play(*[talker(TOKENS)] * 6)
    before = counted.page()
    for _ in range(3):
        assert gateway.post(CHAT, chat(), ann.bearer).status == 200
    for _ in range(2):
        with start_stream(gateway, ann) as wire:
            assert chunks(events(wire))
    assert gateway.post(CHAT, chat(), poor.bearer).status == 200
    assert gateway.post(CHAT, chat(), poor.bearer).status == 429
    assert gateway.post(CHAT, chat()).status == 401
    assert gateway.post(CHAT, chat(), ann.bearer[:-1] + "!").status == 401
    assert gateway.post(CHAT, chat(), bob.bearer).status == 403
    assert gateway.get("/v1/none", ann.bearer).status == 404
    assert gateway.post(CHAT, {**chat(), "model": "away"}, ann.bearer).status == 503
    with gateway.open() as wire:
        assert wire.ask(compose("GET", "/v1/models", host="evil.example")).status == 421
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, ann) as wire:
        next(wire.events(wire.head()))
        wire.reset()
    rows = "llm_gateway_ledger_written_total"  # written a moment after what they are about
    until(lambda: counted.page().sum(rows) - before.sum(rows) >= 14, 10.0, "the ledger has it")
    after = counted.after(before, 13)

    def more(name: str, **labels: str) -> float:
        return after.sum(name, **labels) - before.sum(name, **labels)

    by_status = {"200": 6, "429": 1, "401": 2, "403": 1, "404": 1, "503": 1, "499": 1}
    for status, number in by_status.items():
        assert more("llm_gateway_requests_total", code=status, listener="local") == number, status
        assert more("http_server_request_duration_seconds_count", code=status, listener="local") == number, status
    assert more("llm_gateway_requests_total", caller="ann", code="200", reason="") == 0, "no label without a value"
    assert more("llm_gateway_requests_total", caller="ann", code="200", operation_name="chat") == 5
    assert more("gen_ai_server_request_duration_seconds_count", type="no_engine") == 1
    assert more("gen_ai_server_time_to_first_token_seconds_count", provider_name="openai", response_model=ASKED) == 2
    assert more("llm_gateway_tokens_total", caller="ann", token_type="output") == 5 * TOKENS + 1, (
        "one token went to who left"
    )
    assert more("llm_gateway_tokens_total", caller="poor", token_type="output") == TOKENS
    assert more("llm_gateway_tokens_total", caller="poor", token_type="input") == PROMPT_TOKENS
    assert more("gen_ai_client_operation_duration_seconds_count", engine="fake") == 7
    assert more("llm_gateway_queue_wait_seconds_count", engine="fake", caller="ann") == 6
    assert more("llm_gateway_auth_failures_total", reason="missing_credential", listener="local") == 1
    assert more("llm_gateway_auth_failures_total", reason="invalid_credential", listener="local") == 1
    assert more("llm_gateway_limits_refusals_total", kind="requests", window="minute", caller="poor") == 1
    assert more("llm_gateway_disconnects_total", stage="answer", listener="local") == 1
    assert more("llm_gateway_wire_refusals_total", reason="unknown_host", listener="local") == 1
    assert more("llm_gateway_policy_decisions_total", decision="deny", reason="model_not_permitted") == 1
    assert after.sum("llm_gateway_engine_up", engine="fake") == 1
    assert after.sum("llm_gateway_engine_up", engine="gone", provider_name="vllm") == 0
    assert after.sum("llm_gateway_queue_slots", engine="fake") == 8
    assert after.sum("llm_gateway_queue_running") == after.sum("llm_gateway_queue_depth") == 0
    assert after.sum("llm_gateway_policy_up") == 1
    assert after.sum("process_memory_usage_bytes") > 1 << 20
    assert after.sum("llm_gateway_telemetry_dropped_total") == 0


def test_what_runs_and_what_waits_is_seen_while_it_does(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(engine={"concurrency": 1})
    seen = Counted(gateway, gateway.create_key("scraper", "--scope", "metrics:read"))
    ann = gateway.create_key("ann")
    engine.play(always(*Stream().until(1, Hold(), *Stream().steps()[2:])))
    with start_stream(gateway, ann) as first, start_stream(gateway, ann) as second:
        until(lambda: seen.page().sum("llm_gateway_queue_depth", engine="fake") == 1, 10.0, "one waits")
        page = seen.page()
        assert page.sum("llm_gateway_queue_running", engine="fake") == 1
        assert page.sum("llm_gateway_requests_in_flight", caller="ann", response_model=ASKED) == 2
        assert page.sum("llm_gateway_requests_in_flight") == 2
        assert page.sum("http_server_active_requests", listener="local") == 2
        assert page.sum("http_server_active_requests", listener="admin") == 1, "the scrape itself"
        engine.release()
        assert chunks(events(first))
        engine.release()
        assert chunks(events(second))


def test_the_page_is_for_those_with_the_scope_and_good_for_prometheus(counted: Counted) -> None:
    gateway = counted.gateway
    assert gateway.get("/metrics", admin=True).status == 401
    assert gateway.get("/metrics", gateway.create_key("ann").bearer, admin=True).status == 403
    assert gateway.get("/policy", counted.scraper.bearer, admin=True).status == 403
    assert gateway.post(CHAT, chat(), counted.scraper.bearer).status == 403
    answer = gateway.get("/metrics", counted.scraper.bearer, admin=True)
    assert answer.head.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run(["promtool", "check", "metrics"], input=answer.body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_real_prometheus_takes_it_in(counted: Counted, engine: RecordingEngine, tmp_path: Path) -> None:
    gateway = counted.gateway
    ann = gateway.create_key('a "quoted\\" name')
    engine.play(*[talker(TOKENS)] * 2)
    with Prometheus(tmp_path / "prometheus", gateway, counted.scraper) as prometheus:
        until(lambda: prometheus.one("up") == 1, 10.0, "the page is scraped, parsed and taken in")
        assert gateway.post(CHAT, chat(), ann.bearer).status == 200
        with start_stream(gateway, ann) as wire:
            assert chunks(events(wire))
        tokens = 'llm_gateway_tokens_total{gen_ai_token_type="output"}'
        until(lambda: prometheus.one(tokens) == 2 * TOKENS, 10.0, "the tokens are there")
        assert any('a \\"quoted' in labels for labels in prometheus.query(tokens))
        quantile = "histogram_quantile(0.95, gen_ai_server_time_to_first_token_seconds_bucket)"
        assert 0 < prometheus.one(quantile) < 10
        assert prometheus.one("scrape_samples_scraped") > 300


def hostile(source: random.Random, key: Key) -> Iterator[bytes]:
    """Requests in which everything that a caller may choose is new each time."""
    for number in range(HOSTILE):
        text = f"{CANARY}-{number}"
        lines = [f"User-Agent: {text}", f"Cookie: {text}", f"X-{text}: {text}", f"traceparent: {text}"]
        if source.random() < 0.7:
            lines.append(key.bearer)
        yield source.choice(
            (
                compose("POST", CHAT, *lines, body={**chat(text), "model": text, "user": text}),
                compose("POST", CHAT, *lines, body={**chat(text), text: text}),
                compose("POST", CHAT, *lines, body=json.dumps(chat(text))[:-1].encode()),
                compose("GET", f"/{text}/v1/models?{text}={text}", *lines),
                compose("GET", f"/v1/models/{text}", *lines),
                compose("GET", f"/engines/{text}/v1/models", *lines),
                compose(f"BREW{number % 50}", "/v1/models", *lines),
                compose("GET", "/v1/models", *lines, host=f"{text}.example"),
                compose("GET", "/v1/models", f"Authorization: Bearer {text}"),
            )
        )


def test_strangers_cannot_make_it_grow_or_speak(counted: Counted) -> None:
    gateway = counted.gateway
    ann = gateway.create_key("ann")
    requests = list(hostile(random.Random(3), ann))
    sizes = []
    for half in (requests[: HOSTILE // 2], requests[HOSTILE // 2 :]):
        for request in half:
            with gateway.open() as wire:
                wire.ask(request)
        sizes.append(len(counted.page().samples))
    page = counted.page()
    assert (
        page.sum("llm_gateway_requests_total", listener="local") + page.sum("llm_gateway_wire_refusals_total") > 1_900
    )
    assert sizes[1] - sizes[0] < 300, "series grow with the requests"
    assert sizes[1] < 10_000
    assert CANARY not in page.text
    assert CANARY.upper() not in page.text.upper()
    assert ann.secret not in page.text
    assert "127.0.0.1" not in page.text
    assert page.sum("llm_gateway_telemetry_series_dropped_total") == 0
