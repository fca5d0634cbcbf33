"""What leaves the gateway by OTLP, seen by a collector that decodes it, and by an engine that is told its place."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from observability.metrics.catalogue import CATALOGUE
from policies.json import JSON, Object
from tests.system.calls import ASKED, CHAT, chat, streamed
from tests.system.collector import Behaviour, Collector, values
from tests.system.conftest import Launch
from tests.system.process import ROOT, Gateway, Key, until
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import Send, always, completion, whole
from tests.system.wire import Answer, compose

CALLER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"traceparent: 00-{CALLER_TRACE}-{CALLER_SPAN}-01"
SERVER = f"POST {CHAT}"
ENGINE = f"chat {ASKED}"
PATIENT: Object = {"timeout": "10s"}
"""A busy machine is no failure of the policy engine."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


def telemetry(collector: Collector, **changes: JSON) -> Object:
    return {"otlp": collector.url, "otlp_interval": "200ms", "sample": 1, **changes}


def trusting(trust: str = "authenticated", **changes: JSON) -> Object:
    return {"trace": {"trust": trust, **changes}}


def told(seen: Seen) -> dict[str, str]:
    """What the engine was told of its trace."""
    return {name: value for name, value in seen.headers if name in {"traceparent", "tracestate", "baggage"}}


def ask(gateway: Gateway, key: Key, *lines: str, stream: bool = True) -> Answer:
    answer = gateway.post(CHAT, streamed() if stream else chat(), key.bearer, *lines)
    assert answer.status == 200
    return answer


def request_id(answer: Answer) -> str:
    found = answer.head.get("x-request-id")
    assert found is not None
    return found


def test_caller_gateway_and_engine_are_one_tree(launch: Launch, engine: RecordingEngine, collector: Collector) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, sample=0), listener=trusting())
    key = gateway.create_key("ann")
    answer = ask(gateway, key, TRACEPARENT, "tracestate: vendor=x", "baggage: user=canary", "user-agent: curl/8")
    assert answer.head.get("x-trace-id") == CALLER_TRACE
    assert answer.head.get("x-request-id") != CALLER_TRACE
    spans = collector.trace(CALLER_TRACE)
    assert list(spans) == [SERVER, "policy", "queue", ENGINE]
    server, at_engine = spans[SERVER], spans[ENGINE]
    assert (server.parent_span_id.hex(), server.trace_state) == (CALLER_SPAN, "vendor=x")
    assert {span.parent_span_id for name, span in spans.items() if name != SERVER} == {server.span_id}
    assert told(engine.request()) == {
        "traceparent": f"00-{CALLER_TRACE}-{at_engine.span_id.hex()}-01",
        "tracestate": "vendor=x",
    }
    said = values(server.attributes)
    assert said["llm_gateway.request.id"] == request_id(answer)
    assert (said["llm_gateway.caller"], said["user_agent.name"]) == ("ann", "curl")
    assert_in_order(spans)


def assert_in_order(spans: dict[str, Span]) -> None:
    """The parts lie within the whole, one after the other."""
    server, policy, queue, engine = (spans[name] for name in (SERVER, "policy", "queue", ENGINE))
    (first_token,) = engine.events
    instants = [
        *(server.start_time_unix_nano, policy.start_time_unix_nano, policy.end_time_unix_nano),
        *(queue.start_time_unix_nano, queue.end_time_unix_nano, engine.start_time_unix_nano),
        *(first_token.time_unix_nano, engine.end_time_unix_nano, server.end_time_unix_nano),
    ]
    assert instants == sorted(instants)
    assert abs(instants[-1] / 1e9 - time.time()) < 60


def test_a_request_of_its_own_has_its_id_as_trace_id(
    launch: Launch, engine: RecordingEngine, collector: Collector
) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector))
    answer = ask(gateway, gateway.create_key("ann"), stream=False)
    assert answer.head.get("x-trace-id") is None
    spans = collector.trace(request_id(answer))
    assert spans[SERVER].parent_span_id == b""
    assert told(engine.request()) == {
        "traceparent": f"00-{request_id(answer)}-{spans[ENGINE].span_id.hex()}-03",
    }
    resource = values(collector.traces[0].resource_spans[0].resource.attributes)
    assert resource["service.name"] == "llm-gateway"
    assert resource["process.pid"] == gateway.process.pid
    assert set(resource) == {"service.name", "service.version", "service.instance.id", "process.pid"}


def test_spans_say_who_asked_for_what_and_what_a_policy_and_limits_made_of_it(
    launch: Launch, engine: RecordingEngine, collector: Collector
) -> None:
    grant: Object = {"id": "day", "users": ["ann"], "models": ["gpt", ASKED], "max_tokens": 40, "rate_class": "people"}
    rules: list[JSON] = [
        {"name": "trial", "per": "owner", "rpm": 1, "shadow": True},
        {"name": "hard", "per": "owner", "rpm": 2},
    ]
    gateway = launch(
        policy={"timeout": "10s", "grants": [grant]},
        models={"aliases": {"gpt": ASKED}},
        limits={"classes": {"people": {"concurrency": 4}}, "rules": rules},
        telemetry=telemetry(collector),
    )
    key = gateway.create_key("ann", "--group", "dev", "--device", "Ann's laptop")
    answers = [
        gateway.post(CHAT, {**streamed(max_tokens=30), "model": "gpt"}, key.bearer, "user-agent: curl/8")
        for _ in range(3)
    ]
    assert [answer.status for answer in answers] == [200, 200, 429]
    spans = collector.trace(request_id(answers[1]))
    said = values(spans[SERVER].attributes)
    expected: Object = {
        "http.request.method": "POST",
        "http.route": CHAT,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "user_agent.name": "curl",
        "llm_gateway.request.id": request_id(answers[1]),
        "llm_gateway.caller": "ann",
        "llm_gateway.key.id": key.id,
        "llm_gateway.groups": ["dev"],
        "llm_gateway.auth": "key",
        "llm_gateway.client.device": "Ann's laptop",
        "llm_gateway.listener": "local",
        "llm_gateway.dialect": "openai",
        "llm_gateway.engine": "fake",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": ASKED,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ["stop"],
        "llm_gateway.decision.grants": ["day"],
        "llm_gateway.limits.shadowed": ["trial"],
        "llm_gateway.kept": "sampled",
    }
    assert {name: said.get(name) for name in expected} == expected
    assert gateway.access_line(request_id(answers[1]))["device"] == "Ann's laptop"
    obligations = said["llm_gateway.obligations"]
    assert isinstance(obligations, list)
    assert {"max_tokens", "rate_class"} <= set(map(str, obligations))
    assert said["llm_gateway.decision.revision"] == values(spans["policy"].attributes)["llm_gateway.decision.revision"]
    assert said["llm_gateway.decision.revision"] != ""
    assert said["llm_gateway.queue.duration"] == values(spans["queue"].attributes)["llm_gateway.queue.duration"]
    asked = values(spans[ENGINE].attributes)
    wanted: Object = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": ASKED,
        "gen_ai.response.model": ASKED,
        "gen_ai.request.max_tokens": 30,
        "gen_ai.request.stream": True,
        "gen_ai.usage.output_tokens": 3,
    }
    assert {name: asked.get(name) for name in wanted} == wanted
    refused = values(collector.trace(request_id(answers[2]))[SERVER].attributes)
    assert refused["error.type"] == "rate_limit_exceeded"
    assert "hard" in str(refused["llm_gateway.limits.refused"])


@pytest.mark.parametrize(
    ("trace", "bearer", "joins"),
    [
        (trusting("none"), True, False),
        (trusting("authenticated"), True, True),
        (trusting("authenticated"), False, False),
        (trusting("networks", networks=["127.0.0.0/8"]), False, True),
        (trusting("networks", networks=["10.0.0.0/8"]), True, False),
    ],
)
def test_only_whom_the_listener_trusts_writes_into_its_own_trace(
    launch: Launch, collector: Collector, trace: Object, bearer: bool, joins: bool
) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector), listener=trace)
    key = gateway.create_key("ann")
    answer = gateway.get("/v1/models", TRACEPARENT, *([key.bearer] if bearer else []))
    assert answer.status == (200 if bearer else 401)
    assert answer.head.get("x-trace-id") == (CALLER_TRACE if joins else None)
    server = next(iter(collector.trace(CALLER_TRACE if joins else request_id(answer)).values()))
    links = [(link.trace_id.hex(), link.span_id.hex()) for link in server.links]
    assert links == ([] if joins else [(CALLER_TRACE, CALLER_SPAN)])
    assert (server.parent_span_id.hex() == CALLER_SPAN) is joins


def test_errors_and_denials_are_kept_where_nothing_else_is(
    launch: Launch, engine: RecordingEngine, collector: Collector
) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, sample=0))
    key = gateway.create_key("ann")
    well = ask(gateway, key)
    assert told(engine.request())["traceparent"].endswith("-02")
    engine.play(always(Send(whole({"error": "broken"}, 500))))
    failed = gateway.post(CHAT, chat(), key.bearer)
    assert failed.status == 502
    denied = gateway.get("/v1/models")
    assert denied.status == 401
    spans = collector.trace(request_id(failed))
    assert {spans[SERVER].status.code, spans[ENGINE].status.code} == {Status.STATUS_CODE_ERROR}
    refused = collector.trace(request_id(denied))
    assert [span.status.code for span in refused.values()] == [Status.STATUS_CODE_UNSET]
    assert gateway.stop() == 0
    assert request_id(well) not in {span.trace_id.hex() for span in collector.spans}
    records = {record.trace_id.hex(): record for record in collector.records}
    assert records[request_id(failed)].event_name == "llm_gateway.error"
    assert records[request_id(failed)].span_id == spans[SERVER].span_id
    assert records[request_id(denied)].event_name == "llm_gateway.denied"
    assert request_id(well) not in records


def test_metrics_are_those_of_the_catalogue_with_exemplars_of_kept_traces(launch: Launch, collector: Collector) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector))
    answer = ask(gateway, gateway.create_key("ann"))
    name = "gen_ai.server.request.duration"
    collector.wait(lambda: bool(collector.metrics) and name in collector.latest_metrics(), name)
    found = collector.latest_metrics()
    units = {family.name: family.unit for family in CATALOGUE}
    assert {metric.name: metric.unit for metric in found.values()}.items() <= units.items()
    (point,) = found[name].histogram.data_points
    assert point.count == sum(point.bucket_counts) == 1
    assert values(point.attributes)["gen_ai.response.model"] == ASKED
    assert [exemplar.trace_id.hex() for exemplar in point.exemplars] == [request_id(answer)]


def test_speaks_json_too(launch: Launch, collector: Collector) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, otlp_protocol="json"))
    answer = ask(gateway, gateway.create_key("ann"))
    # protobuf's own JSON reader takes the ids, which are hex here, for base64: so they are sought as text
    wanted = request_id(answer).encode()
    collector.wait(
        lambda: any(wanted in each.body for each in collector.posted if each.path == "/v1/traces"), "the trace"
    )
    assert {each.headers["content-type"] for each in collector.posted} == {"application/json"}
    assert SERVER in {span.name for span in collector.spans}


def test_a_token_from_a_file_is_sent_and_told_nobody(launch: Launch, collector: Collector, tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer canary-token\nX-Tenant: us\n")
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, otlp_headers_file=str(file)))
    gateway.get("/v1/models")
    collector.wait(lambda: bool(collector.posted), "anything")
    (sent,) = {(each.headers["authorization"], each.headers["x-tenant"]) for each in collector.posted}
    assert sent == ("Bearer canary-token", "us")
    shown = gateway.run("config", "show", "--config", str(gateway.file))
    assert shown.code == 0
    assert "canary-token" not in shown.out + shown.err + gateway.logged()


def test_without_a_collector_there_are_no_traces_and_no_protobuf(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    answer = ask(gateway, key, TRACEPARENT, "tracestate: a=1", "baggage: a=1")
    assert told(engine.request()) == {}
    assert answer.head.get("x-trace-id") is None
    heavy = "('google', 'opentelemetry')"
    code = f"import sys, edge.gateway; print([name for name in sys.modules if name.startswith({heavy})])"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- collectors that misbehave


def dropped(gateway: Gateway, key: Key, signal: str) -> float:
    """What `/metrics` says was thrown away."""
    page = gateway.get("/metrics", key.bearer, admin=True)
    assert page.status == 200
    lines = page.body.decode().splitlines()
    wanted = f'llm_gateway_telemetry_dropped_total{{llm_gateway_signal="{signal}"}}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))


def test_a_dead_collector_costs_no_request_anything(launch: Launch) -> None:
    with Collector() as gone:
        settings = telemetry(gone)
    gateway = launch(policy=PATIENT, telemetry=settings)
    key = gateway.create_key("ann")
    for _ in range(20):
        ask(gateway, key)
    assert gateway.err.find(lambda line: "the collector does not take traces" in line) is not None
    assert gateway.stop() == 0


def test_a_collector_that_hangs_costs_bounded_memory_and_does_not_hold_up_the_end(
    launch: Launch, collector: Collector
) -> None:
    collector.behaviour = Behaviour(hangs=True)
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, kept_rate=10_000))
    key = gateway.create_key("watcher", "--scope", "metrics:read", "--scope", "inference")
    collector.wait(lambda: any(each.path == "/v1/traces" for each in collector.posted), "a first batch")
    process = psutil.Process(gateway.process.pid)
    flood(gateway, 2_500)
    before = process.memory_info().rss
    until(lambda: dropped(gateway, key, "traces") > 0, 10.0, "the backlog is full")
    flood(gateway, 2_500)
    assert process.memory_info().rss - before < 16 << 20
    ask(gateway, key)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 30


def flood(gateway: Gateway, count: int) -> None:
    """So many requests without a key, on as few connections as the listener allows."""
    left = count
    while left > 0:
        with gateway.open() as wire:
            for _ in range(min(left, 500)):
                assert wire.ask(compose("GET", "/v1/models")).status == 401
                left -= 1


def test_a_collector_that_is_busy_gets_it_later(launch: Launch, collector: Collector) -> None:
    collector.behaviour = Behaviour(status=429, headers={"Retry-After": "0"}, failures=3)
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector))
    answer = ask(gateway, gateway.create_key("ann"))
    collector.wait(lambda: collector.behaviour.failures == 0, "three refusals")
    assert SERVER in collector.trace(request_id(answer))


def test_redirects_are_not_followed(launch: Launch, collector: Collector) -> None:
    with Collector() as elsewhere:
        collector.behaviour = Behaviour(status=307, headers={"Location": elsewhere.url + "/v1/traces"})
        gateway = launch(policy=PATIENT, telemetry=telemetry(collector))
        ask(gateway, gateway.create_key("ann"))
        assert gateway.err.find(lambda line: "does not take traces (status 307)" in line) is not None
        assert gateway.stop() == 0
        assert elsewhere.posted == []


def test_what_is_left_is_sent_when_the_gateway_stops(launch: Launch, collector: Collector) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, otlp_interval="1h"))
    answer = ask(gateway, gateway.create_key("ann"))
    assert gateway.get("/v1/me").status == 401
    assert collector.posted == []
    assert gateway.stop() == 0
    assert {each.path for each in collector.posted} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    assert SERVER in collector.trace(request_id(answer))
    assert "error" not in {line.partition('"level":"')[2][:5] for line in gateway.err.all}


# -- secrets


def test_nothing_that_was_said_leaves_by_otlp(launch: Launch, engine: RecordingEngine, collector: Collector) -> None:
    gateway = launch(policy=PATIENT, telemetry=telemetry(collector, otlp_interval="1h"), listener=trusting())
    key = gateway.create_key("ann")
    engine.play(always(Send(whole(completion("canary-answer")))))
    gateway.post(
        CHAT,
        chat("canary-prompt", stop=["canary-stop"], user="canary-user"),
        key.bearer,
        TRACEPARENT,
        "baggage: a=canary-baggage",
        "cookie: canary-cookie",
        "user-agent: canary-agent",
    )
    for status in (400, 500):
        engine.play(always(Send(whole({"error": {"message": "canary-engine", "code": "canary-code"}}, status))))
        gateway.post(CHAT, chat("canary-prompt"), key.bearer)
    gateway.post(CHAT, {**chat("x"), "model": "canary model"}, key.bearer)
    gateway.get("/v1/models/canary-path?x=canary-query", key.bearer)
    gateway.get("/canary-path?x=canary-query")
    gateway.get("/v1/me", f"Authorization: Bearer {key.secret[:-1]}!")
    gateway.get("/v1/me", "traceparent: canary-parent", "tracestate: canary=state")
    assert gateway.stop() == 0
    assert len({span.trace_id for span in collector.spans}) >= 7
    assert collector.records
    for each in collector.posted:
        assert b"canary" not in each.body
        assert key.secret.encode()[8:] not in each.body
