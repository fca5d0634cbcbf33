"""Every metric of the gateway: the one place with names, units, label names and bounds.

Names are those of OpenTelemetry's conventions where there is one (`gen_ai.*`: semantic-conventions-genai, development;
`http.*`: stable), `llm_gateway.*` otherwise. `/metrics` shows them in Prometheus' spelling (`naming.py`). Every label
takes values from a closed or configured set: never a raw path, a name of a model that we do not have, an address, or
anything else that a stranger may make up. The table in docs/observing.md is held against this list by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from observability.metrics.snapshot import Family, Kind
from policies.call import Operation

SCHEMA: Final = "https://opentelemetry.io/schemas/1.42.0"
"""The conventions that names and labels follow; `gen_ai.*` as of that day in semantic-conventions-genai."""

MOST_SERIES: Final = 2_000
"""Of one family. What comes beyond falls into series whose labels of `GROWING` are `OTHER`, up to a quarter more, and
then into one whose labels are all `OTHER`."""
OTHER: Final = "_other"

# -- labels

LISTENER: Final = "llm_gateway.listener"
CALLER: Final = "llm_gateway.caller"
"""The owner that a valid credential acts for."""
ENGINE: Final = "llm_gateway.engine"
CLASS: Final = "llm_gateway.class"
"""The rate class that the policy put the request into; "" = none."""
REASON: Final = "llm_gateway.reason"
"""A value of `policies.reasons.Reason`; "" = none."""
ERROR: Final = "error.type"
"""The same, where a convention wants that name."""
DIALECT: Final = "llm_gateway.dialect"
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUESTED: Final = "gen_ai.request.model"
"""The canonical name or alias that was asked for, if we have it; else ""."""
MODEL: Final = "gen_ai.response.model"
"""The canonical name that was served; "" where it did not come to that."""
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no secret
GROWING: Final = frozenset({CALLER, REQUESTED, MODEL})
"""Labels with many values, each times each; what callers bring about must not fill a family for everybody."""
METHOD: Final = "http.request.method"
SCHEME: Final = "url.scheme"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"

OPERATIONS: Final[Mapping[Operation, str]] = MappingProxyType(
    {
        Operation.CHAT: "chat",
        Operation.COMPLETIONS: "text_completion",
        Operation.EMBEDDINGS: "embeddings",
        Operation.RERANK: "rerank",
        Operation.SCORE: "score",
        Operation.TOKENIZE: "tokenize",
    }
)
"""What asks a model, in the conventions' words: values of `OPERATION`. They have none for the last three, and allow own
ones then."""

# -- bounds

DURATIONS: Final = tuple(round(0.01 * 2**power, 2) for power in range(17))
"""Seconds: the convention's 14 (0.01 to 81.92), and 163.84, 327.68, 655.36 for what local engines take."""
FIRST_TOKEN: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0),
)
"""Seconds: the convention's up to 10, Envoy AI Gateway's up to 60, and two for a large model that is loaded first."""
OUTPUT_TOKEN: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS: Final = tuple(float(4**power) for power in range(14))
HTTP_DURATIONS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Seconds: the convention's up to 10, and five for answers that are written token by token."""
BODY_SIZES: Final = tuple(float(256 * 4**power) for power in range(10))
"""Bytes: 256 to 64 MiB."""
SHORT: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds, of what should take next to none."""
WAITS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)


def _counter(name: str, unit: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.COUNTER, unit, text, labels)


def _up_down(name: str, unit: str, text: str, *labels: str) -> Family:
    """What adds up over labels and gateways; a gauge is what does not, a state or an age."""
    return Family(name, Kind.UP_DOWN, unit, text, labels)


def _gauge(name: str, unit: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, unit, text, labels)


def _histogram(name: str, unit: str, text: str, bounds: tuple[float, ...], *labels: str) -> Family:
    return Family(name, Kind.HISTOGRAM, unit, text, labels, bounds)


# -- what callers see (conventions: the server's side)

_GEN_AI: Final = (OPERATION, PROVIDER, REQUESTED, MODEL)

SERVER_DURATION: Final = _histogram(
    "gen_ai.server.request.duration",
    "s",
    "Time of a request for a model, from its head to the end of its answer; refused ones too, once they are read.",
    DURATIONS,
    *_GEN_AI,
    ERROR,
)
TIME_TO_FIRST_TOKEN: Final = _histogram(
    "gen_ai.server.time_to_first_token",
    "s",
    "Time from a request's head to the first bytes of its answer from the engine, waiting included.",
    FIRST_TOKEN,
    *_GEN_AI,
)
TIME_PER_OUTPUT_TOKEN: Final = _histogram(
    "gen_ai.server.time_per_output_token",
    "s",
    "Time per token of a streamed answer after the first.",
    OUTPUT_TOKEN,
    *_GEN_AI,
)
HTTP_DURATION: Final = _histogram(
    "http.server.request.duration",
    "s",
    "Time of any request, from its head to the end of its answer.",
    HTTP_DURATIONS,
    METHOD,
    SCHEME,
    ROUTE,
    STATUS,
    ERROR,
    LISTENER,
)
HTTP_REQUEST_SIZE: Final = _histogram(
    "http.server.request.body.size", "By", "Size of request bodies.", BODY_SIZES, METHOD, SCHEME, ROUTE, LISTENER
)
HTTP_RESPONSE_SIZE: Final = _histogram(
    "http.server.response.body.size", "By", "Size of answers.", BODY_SIZES, METHOD, SCHEME, ROUTE, LISTENER
)
ACTIVE_REQUESTS: Final = _up_down(
    "http.server.active_requests", "{request}", "Requests that are being served, or wait.", LISTENER
)

# -- what engines see (conventions: the client's side)

TOKEN_USAGE: Final = _histogram(
    "gen_ai.client.token.usage", "{token}", "Tokens of one request.", TOKENS, *_GEN_AI, TOKEN_TYPE
)
CLIENT_DURATION: Final = _histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Time that an engine worked on a request.",
    DURATIONS,
    *_GEN_AI,
    ENGINE,
    ERROR,
)
TIME_TO_FIRST_CHUNK: Final = _histogram(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time from asking an engine to the first bytes of its answer, of streamed answers.",
    DURATIONS,
    *_GEN_AI,
    ENGINE,
)

# -- who used what

REQUESTS: Final = _counter(
    "llm_gateway.requests",
    "{request}",
    "Finished requests.",
    LISTENER,
    CALLER,
    DIALECT,
    OPERATION,
    REQUESTED,
    MODEL,
    STATUS,
    REASON,
)
TOKENS_USED: Final = _counter("llm_gateway.tokens", "{token}", "Tokens that were charged.", CALLER, MODEL, TOKEN_TYPE)
GPU_TIME: Final = _counter("llm_gateway.gpu.time", "s", "Time on an engine that was charged.", CALLER, MODEL, ENGINE)
OVERHEAD: Final = _histogram(
    "llm_gateway.overhead.duration",
    "s",
    "What the gateway adds to a served request: its time without the caller's sending, waiting, and the engine's.",
    SHORT,
    LISTENER,
)
IN_FLIGHT: Final = _up_down(
    "llm_gateway.requests.in_flight", "{request}", "Requests for a model that are under way.", CALLER, MODEL
)
DISCONNECTS: Final = _counter(
    "llm_gateway.disconnects",
    "{request}",
    "Callers that left before their answer was complete (499), and when: `before` a turn was asked for, `queue`, "
    "`prefill`, `answer`.",
    LISTENER,
    "llm_gateway.stage",
)

# -- who may not

AUTH_FAILURES: Final = _counter(
    "llm_gateway.auth.failures", "{request}", "Requests without a valid credential.", LISTENER, REASON
)
WIRE_REFUSALS: Final = _counter(
    "llm_gateway.wire.refusals",
    "{request}",
    "What a listener refused before it was a request: bad HTTP, unknown hosts, slow heads.",
    LISTENER,
    REASON,
)
CONNECTIONS: Final = _up_down("llm_gateway.connections", "{connection}", "Open connections.", LISTENER)
CONNECTIONS_REFUSED: Final = _counter(
    "llm_gateway.connections.refused", "{connection}", "Connections that were closed at the door.", LISTENER
)
DECISIONS: Final = _counter(
    "llm_gateway.policy.decisions",
    "{decision}",
    "Decisions: `allow` or `deny`, why not, and who decided (`credential`: its own bounds; `cache`).",
    "llm_gateway.decision",
    REASON,
    "llm_gateway.policy.engine",
)
POLICY_UP: Final = _gauge("llm_gateway.policy.up", "{engine}", "1 while the policy engine answers, else 0.")
DECISION_TIME: Final = _histogram(
    "llm_gateway.policy.duration", "s", "Time a decision took.", SHORT, "llm_gateway.policy.engine"
)
LIMIT_REFUSALS: Final = _counter(
    "llm_gateway.limits.refusals",
    "{request}",
    "Requests over a limit: of `requests`, `input`, `output`, `tokens`, `gpu_ms`, `concurrency`, or a `quota` in a "
    "policy.",
    "llm_gateway.limit.kind",
    "llm_gateway.limit.window",
    CALLER,
)
SHADOW_REFUSALS: Final = _counter(
    "llm_gateway.limits.shadow_refusals",
    "{request}",
    "Requests that a limit on trial would have refused.",
    "llm_gateway.limit.name",
)

# -- the engines

QUEUE_DEPTH: Final = _up_down("llm_gateway.queue.depth", "{request}", "Requests in line for an engine.", ENGINE)
QUEUE_RUNNING: Final = _up_down("llm_gateway.queue.running", "{request}", "Requests an engine works on.", ENGINE)
QUEUE_SLOTS: Final = _up_down("llm_gateway.queue.slots", "{request}", "Requests an engine gets at once.", ENGINE)
QUEUE_WAIT: Final = _histogram(
    "llm_gateway.queue.wait", "s", "Time in line for an engine, until the turn.", WAITS, ENGINE, CALLER, CLASS
)
LOADS: Final = _counter(
    "llm_gateway.engine.loads",
    "{load}",
    "Requests that made an engine load their model, of engines that hold some of their models at once.",
    ENGINE,
    MODEL,
)
ENGINE_UP: Final = _gauge("llm_gateway.engine.up", "{engine}", "1 while an engine answers, else 0.", ENGINE, PROVIDER)
ENGINE_LOADING: Final = _gauge(
    "llm_gateway.engine.loading", "{engine}", "1 while an engine loads a model, else 0.", ENGINE
)
ENGINE_MODELS: Final = _gauge("llm_gateway.engine.models", "{model}", "Models that an engine offers.", ENGINE)

ENERGY_AVAILABLE: Final = _gauge(
    "llm_gateway.energy.available",
    "{machine}",
    "0: this machine does not tell what energy a request took. There is no series of energy, and none is estimated.",
)

RETRIES: Final = _counter(
    "llm_gateway.engine.retries",
    "{request}",
    "Requests that were sent again because the engine had closed the connection before it saw them.",
    ENGINE,
)

BREAKER: Final = _gauge(
    "llm_gateway.engine.breaker",
    "{engine}",
    "1 while an engine is passed over for all callers because it fails one request after the other, else 0.",
    ENGINE,
)
BREAKER_TRIPS: Final = _counter(
    "llm_gateway.engine.breaker_trips", "{trip}", "Times that an engine began, or went on, to be passed over.", ENGINE
)

# -- the books

LEDGER_WAITING: Final = _up_down("llm_gateway.ledger.waiting", "{row}", "Rows of the ledger that are not on disk yet.")
LEDGER_WRITTEN: Final = _counter("llm_gateway.ledger.written", "{row}", "Rows of the ledger written to the database.")

REDIS_UP: Final = _gauge(
    "llm_gateway.redis.up",
    "{store}",
    "1 while Redis answers, as far as requests have found out, else 0; no series without one.",
)

# -- the process

LOOP_LAG: Final = _histogram(
    "llm_gateway.event_loop.lag", "s", "How late the event loop came to a timer; twice a second.", SHORT
)
GC_PAUSES: Final = _histogram(
    "llm_gateway.gc.pause", "s", "Time that one garbage collection took.", SHORT, "llm_gateway.gc.generation"
)
MEMORY: Final = _up_down("process.memory.usage", "By", "Resident memory; no series where the system does not tell.")
CPU_TIME: Final = _counter("process.cpu.time", "s", "Processor time of all threads.", "cpu.mode")
DESCRIPTORS: Final = _up_down("llm_gateway.process.open_descriptors", "{descriptor}", "Open file descriptors.")
UPTIME: Final = _gauge("process.uptime", "s", "Time since the start.")
BUILD: Final = _gauge(
    "llm_gateway.build_info", "{process}", "1, with the version in its labels.", "service.version", "python.version"
)

# -- telemetry about itself

DROPPED: Final = _counter(
    "llm_gateway.telemetry.dropped",
    "{item}",
    "What was thrown away because it could not be written or sent fast enough: `traces`, `metrics`, `logs`, "
    "`access_log` lines, `decision_log` records, `capture` of prompts and answers.",
    "llm_gateway.signal",
)
SERIES_DROPPED: Final = _counter(
    "llm_gateway.telemetry.series_dropped",
    "{update}",
    "Updates that went into a series `_other` because their family is full.",
    "llm_gateway.family",
)

CATALOGUE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above."""
