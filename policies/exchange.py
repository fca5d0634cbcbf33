"""The one value that travels the line: each stage fills one more part, and at the end it is the access record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from policies.call import Call
from policies.decision import Permit
from policies.input import NO_SHAPE, Shape
from policies.json import Object
from policies.obligations import Capture
from policies.origin import Container
from policies.principal import Principal
from policies.reasons import Reason
from policies.trace import Trace


@dataclass(frozen=True, slots=True)
class Client:
    """The socket's real peer and the listener it came in by (never a forwarded header).

    What a connection itself proves of its peer stands here, beside the address: a client certificate's subject, say.
    """

    ip: str
    port: int
    listener: str
    tls: str = ""  # the protocol's version, "TLSv1.3"; "" = in the clear


@dataclass(slots=True)
class Usage:
    """Token counts of one answer; `source` tells whose count it is."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    source: str = "none"  # engine | timings | counted | chunks | metered | none


@dataclass(slots=True)
class Outcome:
    """How it ended: `status` as sent to the caller (499 = the caller left), and why if not well.

    `estimated` is what the prompt was taken for before the engine counted it, in tokens; `shadowed` are the limits on
    trial that would have refused, `limit` is the one that did (see `GatewayError.limit`). `gpu_ms` is the time on the
    engine that was charged. `told`: a streaming caller was handed the last event, and may leave.
    """

    status: int = 0
    reason: Reason | None = None
    detail: str = ""
    finish: str = ""
    usage: Usage = field(default_factory=Usage)
    estimated: int | None = None
    shadowed: tuple[str, ...] = ()
    limit: tuple[str, str] = ("", "")
    gpu_ms: int = 0
    told: bool = False
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller was given, where an obligation has it kept: `sizes` of each choice, without a word of it.

    `text`: the choices as in a complete answer, None where only sizes are kept. `whole`: nothing of it is missing.
    """

    sizes: Object
    text: Object | None
    whole: bool


@dataclass(slots=True)
class Stages:
    """Monotonic instants in seconds at which a stage was over; 0.0 = never reached."""

    accepted: float = 0.0
    identified: float = 0.0
    received: float = 0.0  # the body was there
    parsed: float = 0.0
    decided: float = 0.0
    queued: float = 0.0  # all is held, the wait for a turn begins
    turn: float = 0.0
    sent: float = 0.0
    first_byte: float = 0.0
    answered: float = 0.0  # the engine had given all
    done: float = 0.0


class Progress(Protocol):
    """What can be asked of a running exchange that has got as far as an engine's line."""

    @property
    def position(self) -> int:
        """1 = next in line; 0 = not in line."""

    @property
    def loading(self) -> bool:
        """Whether its model is being loaded, for it or for another one."""

    @property
    def tokens(self) -> int:
        """Generated so far, as far as the gateway can count them."""


@dataclass(slots=True)
class Exchange:
    """One request. `id` is 32 lower-case hex digits: the request id, and that of a trace that begins here."""

    id: str
    client: Client
    method: str = ""
    route: str = ""  # the matched route's pattern, never the raw path
    principal: Principal | None = None
    call: Call | None = None
    shape: Shape = NO_SHAPE
    permit: Permit | None = None
    redact: frozenset[str] = frozenset()  # what an obligation takes out of records (policies.obligations.RECORDED)
    asked: Call | None = None  # the call as an engine was asked: with its limits clamped, and without what is stripped
    requested: str = ""  # the model as the caller wrote it, without what looks like a key
    model: str = ""  # canonical name that was decided on
    engine: str = ""  # name of the engine that served it
    provider: str = ""  # its kind
    way: str = ""  # `native`: the engine was asked in the caller's own dialect; `translated`: it was not
    loaded: bool = False  # the engine had to load the model for it
    capture: Capture = "none"  # what is kept of it, once that is said in the answer's headers
    answer: Answer | None = None  # only where it is captured
    revision: str = ""  # of the policy that decided
    agent: str = ""  # family of the caller's User-Agent (observability.agents)
    container: Container | None = None  # the caller's, as soon as it is known; None: unknown
    trace: Trace | None = None  # None: traces are off
    outcome: Outcome = field(default_factory=Outcome)
    stages: Stages = field(default_factory=Stages)
    progress: Progress | None = None  # only while it runs
