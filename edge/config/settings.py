"""The settings: this file is the one list of keys, defaults, ranges and help texts.

Limits of a listener, issuers and the queue are the dataclasses of the parts that obey them, so that there is no second
copy to forget. Later keys come with the part that reads them: a key that
nothing reads would be a promise nobody keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import available_timezones

from edge.config import leaves
from edge.config.presets import BUILT_IN, Preset
from edge.config.shapes import required, setting
from edge.config.targets import DATABASE, ENGINE_URL, ORIGIN, REDIS
from edge.config.telemetry import Telemetry
from edge.config.values import Bind, Secret
from edge.identity.configured import ConfiguredKey
from edge.identity.issuer import Issuer
from edge.identity.lockout import LockoutSettings
from edge.intake.strict_json import Limits as JsonLimits
from edge.limits.settings import LimitSettings
from edge.listener.limits import ListenerLimits
from edge.queue.settings import QueueLimits
from edge.responses.settings import ResponseSettings
from edge.stock.settings import PullSettings
from edge.tls.settings import CertificateFiles
from engines.contract import Dialects, Engine, Kind, Timeouts
from observability.decisions.settings import DecisionLogSettings
from observability.traces.trust import NOBODY, ListenerTrace
from policies.grants import Grant
from policies.principal import Network

ADMIN: Final = "admin"
"""The admin plane's name, where listeners are named."""
_NAME: Final = leaves.text(r"[a-z0-9][a-z0-9-]{0,31}", "must be 1 to 32 of a-z, 0-9 and -, and not begin with -")
_HOST: Final = leaves.text(
    r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "must be a host name in lower case, without scheme and port"
)


@dataclass(frozen=True, slots=True)
class Cors:
    """Which other origins' pages may call, in a browser."""

    origins: tuple[str, ...] = field(
        metadata=required("exactly as browsers send them: https://app.example:8443", leaf=ORIGIN)
    )
    max_age: float = setting(600.0, "how long a browser may remember the answer", leaf=leaves.seconds(0, 86400))

    def __post_init__(self) -> None:
        if not self.origins:
            raise ValueError("origins must hold at least one; without `cors` there are none")


@dataclass(frozen=True, slots=True)
class Listener:
    """One address of the data plane."""

    name: str = field(metadata=required("its name, for logs, metrics and keys that are bound to it", leaf=_NAME))
    bind: Bind = field(metadata=required("the address, HOST:PORT; port 0 takes any free one"))
    tls: Literal["auto"] | CertificateFiles | None = setting(
        None, "`auto`: a certificate by the gateway's own authority (llm-gateway ca), or one in files; null = no TLS"
    )
    insecure: bool = setting(default=False, help_text="others than this machine may reach it, without TLS")
    networks: tuple[Network, ...] = setting((), "the networks callers may come from; empty = any")
    hosts: tuple[str, ...] = setting((), "further names that clients may call it by (Host header)", leaf=_HOST)
    strict: bool = setting(default=False, help_text="refuse unknown parameters instead of dropping them")
    cors: Cors | None = setting(None, "other origins' pages that may call it from a browser; null = none")
    trace: ListenerTrace = setting(NOBODY, "whose `traceparent` is believed: that of callers from `networks`")
    limits: ListenerLimits = setting(ListenerLimits(), "what one connection and one request may cost")


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin listener: health, readiness and, later, the admin API."""

    bind: Bind = setting(Bind("127.0.0.1", 8081), "the address, HOST:PORT")
    insecure: bool = setting(default=False, help_text="others than this machine may reach it, without TLS")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One engine that is not left to discovery."""

    name: str = field(metadata=required("its name, as in /engines/{name}/v1 and in logs", leaf=_NAME))
    kind: Kind = field(metadata=required("which program it is"))
    url: str = field(metadata=required("where it listens: http://, https:// or unix:///path", leaf=ENGINE_URL))
    model: str | None = setting(None, "the one model it may be asked for")
    concurrency: int | None = setting(
        None, "requests it gets at once; null = what suits its kind", leaf=leaves.integer(1, 4096)
    )
    loaded_models: int | None = setting(
        None,
        "models it holds in memory at once before it drops one for another; null = what suits its kind",
        leaf=leaves.integer(1, 4096),
    )
    api_key: Secret | None = setting(None, "the engine's own key; callers' credentials never reach an engine")
    dialects: Dialects = setting(
        Dialects.AUTO,
        "when it is asked in a caller's own dialect: auto = where nothing is lost, native = also where that gives up a "
        "cache of prompts for each caller, translate = never",
    )
    timeouts: Timeouts = setting(Timeouts(), "how long to wait for it")

    def engine(self, concurrency: int, loaded_models: int | None = None) -> Engine:
        """The engine of the contract; `concurrency` and `loaded_models` are the defaults of its kind."""
        return Engine(
            name=self.name,
            kind=self.kind,
            url=self.url,
            concurrency=self.concurrency or concurrency,
            api_key=self.api_key.reveal() if self.api_key else None,
            model=self.model,
            timeouts=self.timeouts,
            loaded_models=self.loaded_models or loaded_models,
            dialects=self.dialects,
        )


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the models are."""

    discover: bool = setting(default=True, help_text="look for the known engines on their default ports")
    list: tuple[EngineSettings, ...] = setting((), "engines at other places")


@dataclass(frozen=True, slots=True)
class Models:
    """Names of models, and what they are used for."""

    aliases: Mapping[str, str] = setting(
        MappingProxyType({}), "other names for models: `alias: model`, or `alias: model@preset`"
    )
    presets: Mapping[str, Preset] = setting(
        BUILT_IN, "defaults and bounds of sampling, asked for as `model@preset` or by a key; these are always there"
    )
    pull: PullSettings = setting(PullSettings(), "fetching models for callers with scope models:write")

    def __post_init__(self) -> None:
        # One that is configured takes the built-in one's place.
        object.__setattr__(self, "presets", MappingProxyType({**BUILT_IN, **self.presets}))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who may call, beside the keys made with `llm-gateway keys create`."""

    issuers: tuple[Issuer, ...] = setting((), "issuers whose JWTs are accepted")
    lockout: LockoutSettings = setting(LockoutSettings(), "what happens to an address that fails to authenticate")
    containers: bool = setting(
        default=True,
        help_text="name callers' containers by Docker's own DNS, where the gateway runs in one: a label, never a proof",
    )


class PolicyEngineKind(StrEnum):
    """Who evaluates the policy."""

    AUTO = "auto"
    EMBEDDED = "embedded"
    OPA = "opa"
    REMOTE = "remote"


class OnError(StrEnum):
    """What happens to requests while the policy engine is away."""

    DENY = "deny"
    LAST_GOOD = "last-good"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may use which models: grants, and which engine decides by which policy."""

    grants: tuple[Grant, ...] = setting(
        (), "access without Rego; with none, the bounds of each credential decide alone"
    )
    networks: Mapping[str, tuple[Network, ...]] = setting(
        MappingProxyType({}), "names for address ranges, for grants and policies: `office: [10.1.0.0/16]`"
    )
    max_tokens: int | None = setting(None, "of one answer, whatever grants say", leaf=leaves.integer(1, 1 << 31))
    answer_timeout: float | None = setting(None, "for one answer, whatever grants say", leaf=leaves.seconds(0.1, 86400))
    timezone: str = setting("local", "of hours in grants and policies: `local`, or a name like Europe/Berlin")
    engine: PolicyEngineKind = setting(
        PolicyEngineKind.AUTO, "`auto`: the OPA at `url`, else an installed `opa` as a child, else the embedded engine"
    )
    url: str | None = setting(None, "a remote OPA: http://, https:// or unix:///path", leaf=ENGINE_URL)
    token: Secret | None = setting(None, "the bearer token for it")
    ca_file: Path | None = setting(None, "a PEM file of the authorities to trust for it; null = the system's")
    push: bool = setting(
        default=False, help_text="put the policy into the remote OPA; else it fetches the bundle itself"
    )
    opa: Path | None = setting(None, "the `opa` program; null = the one on PATH")
    dir: Path | None = setting(None, "a folder with the policy (*.rego, data.json); then `policy apply` is refused")
    on_error: OnError = setting(
        OnError.DENY, "while the engine is away: `deny`, or `last-good`: what it said to the same question before"
    )
    last_good_for: float = setting(300.0, "how long `last-good` remembers")
    timeout: float = setting(0.25, "how long one decision may take", leaf=leaves.seconds(0.01, 30))
    memory_bytes: int = setting(
        256 * 1024 * 1024, "what an engine of our own may use", leaf=leaves.size(64 << 20, 1 << 36)
    )
    log: DecisionLogSettings = setting(DecisionLogSettings(), "the record of all decisions")

    def __post_init__(self) -> None:
        remote = self.engine in {PolicyEngineKind.AUTO, PolicyEngineKind.REMOTE}
        if self.engine is PolicyEngineKind.REMOTE and self.url is None:
            raise ValueError("engine: remote needs a url")
        if self.url is not None and not remote:
            raise ValueError(f"url is of no use to engine: {self.engine.value}")
        if self.url is None and (self.token is not None or self.ca_file is not None or self.push):
            raise ValueError("token, ca_file and push need a url")
        if self.timezone != "local" and self.timezone not in available_timezones():
            raise ValueError("timezone must be `local` or a name of the time zone database, like Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Stores:
    """Where state is kept."""

    database: str | None = setting(
        None, "its URL; null = SQLite in the state folder ($LLM_GATEWAY_HOME)", leaf=DATABASE
    )
    redis: str | None = setting(None, "its URL, where gateways count together; null = in this process", leaf=REDIS)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is accounted for."""

    keep: float = setting(
        90 * 86400.0,
        "how long each request is kept; what is older stays as sums per day",
        leaf=leaves.seconds(86400, 36500 * 86400),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of one gateway."""

    listeners: tuple[Listener, ...] = setting((Listener("local", Bind("127.0.0.1", 8080)),), "the data plane")
    admin: Admin = setting(Admin(), "the admin plane")
    engines: Engines = setting(Engines(), "the engines")
    models: Models = setting(Models(), "the models")
    identity: Identity = setting(Identity(), "the callers")
    keys: tuple[ConfiguredKey, ...] = setting((), "keys of services, each with its secret in a file")
    policy: Policy = setting(Policy(), "who may use which models")
    limits: LimitSettings = setting(LimitSettings(), "what callers may do, how often and how much")
    queue: QueueLimits = setting(QueueLimits(), "the line in front of a busy engine, and what one caller may hold")
    json: JsonLimits = setting(JsonLimits(), "what a request's JSON document may be")
    ledger: Ledger = setting(Ledger(), "the accounts")
    responses: ResponseSettings = setting(ResponseSettings(), "the responses that callers can go on from")
    stores: Stores = setting(Stores(), "the state")
    telemetry: Telemetry = setting(Telemetry(), "the records")
