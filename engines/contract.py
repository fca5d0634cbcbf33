"""The types of the engine side, and its two seams: `Adapter` (pure, one per kind) and `Transport` (the I/O)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from policies.call import Call, Dialect, Form, Operation
from policies.decision import Permit
from policies.errors import UpstreamError
from policies.json import JSON, Object

Speech: TypeAlias = tuple[Dialect, Operation, Form]
"""In which dialect what is asked for, in which of its forms."""


class Kind(StrEnum):
    """The kinds of engine an adapter exists for; the value is what stands in the configuration."""

    OPENAI = "openai"
    DOCKER_MODEL_RUNNER = "docker-model-runner"
    LLAMA_SERVER = "llama-server"
    LLAMA_CPP_PYTHON = "llama-cpp-python"
    MLX_LM = "mlx-lm"
    VLLM = "vllm"
    OLLAMA = "ollama"
    LM_STUDIO = "lm-studio"


class Dialects(StrEnum):
    """Which dialects beside OpenAI's an engine is asked in; the value is what stands in the configuration."""

    AUTO = "auto"  # its own route where nothing is lost on it, else OpenAI's
    NATIVE = "native"  # also where its own route cannot keep the callers' caches of prompts apart
    TRANSLATE = "translate"  # OpenAI's only


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to the first byte of the answer, between two chunks, for the whole answer."""

    connect: float = 5.0
    first_byte: float = 300.0
    gap: float = 120.0
    total: float = 3600.0


@dataclass(frozen=True, slots=True)
class Engine:
    """One configured or discovered engine.

    `url` is scheme and authority with an optional base path and no trailing slash (`http://127.0.0.1:8080`), or
    `unix:///path.sock`. `concurrency` is how many requests the gateway lets it have at once. `api_key` is the engine's
    own key, sent instead of the caller's credential (which never leaves the gateway). `model` pins the one model that
    an engine such as mlx-lm may be asked for. `loaded_models` is how many it holds in memory before it drops one for
    another; None = it serves what it has, and drops nothing. `dialects` is when it is asked in a caller's own dialect.
    """

    name: str
    kind: Kind
    url: str
    concurrency: int
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    timeouts: Timeouts = Timeouts()
    loaded_models: int | None = None
    dialects: Dialects = Dialects.AUTO


@dataclass(frozen=True, slots=True)
class Model:
    """A model as one engine offers it: `id` is the name that engine wants, `name` the canonical one."""

    name: str
    id: str
    created: int = 0
    context: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where one request goes."""

    engine: Engine
    model: Model


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What is sent to an engine, complete: nothing is added but Host, Content-Length, the engine's own key and, where
    traces are on, the gateway's own `traceparent` and `tracestate` (edge/relay/relay.py).

    `path` is one of the adapter's constants. `headers` are lower-case names and values of ours.
    """

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Pulled:
    """One line of the answer to a pull: of `layer`, `came` bytes of `size`; of everything, `total` (0 = not said).

    `done` is the engine's word that it has the model, `error` its word that it will not.
    """

    layer: str = ""
    came: int = 0
    size: int = 0
    total: int = 0
    done: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tongue:
    """A route of one kind of engine in a dialect of its own.

    `write` turns the chat or prompt body that the adapter would send to OpenAI's route into a body for `path`: what the
    engine is asked in its own dialect is made of what was decided on, and of nothing else. None where that route cannot
    say all of it; then it is not asked there.
    """

    path: str
    write: Callable[[Object], Object | None]
    isolates: bool = True
    """Whether nothing that keeps callers apart is lost on it (`cache_salt`)."""


class UpstreamResponse(Protocol):
    """An answer that has begun: the head is there, the body flows."""

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str:
        """Lower case, without parameters; "" if absent."""

    @property
    def retry_after(self) -> float | None:
        """Seconds, if the engine said so in digits."""

    @property
    def over(self) -> bool:
        """Whether all of the body was read."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's blocks as they come. Raises EngineTimeout (gap, total) or EngineBroke (truncated)."""

    async def read(self, limit: int) -> bytes:
        """The whole body; EngineBroke if it is larger than `limit` bytes."""


class Transport(Protocol):
    """Opens connections to engines. Inference needs the Permit; probes ask for fixed, harmless paths only.

    Leaving the context closes the connection unless the body was read to its end; leaving it by cancellation closes it
    at once, which is how an engine learns that the caller is gone.
    """

    def send(
        self, permit: Permit, engine: Engine, request: UpstreamRequest
    ) -> AbstractAsyncContextManager[UpstreamResponse]: ...

    def probe(self, engine: Engine, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]: ...

    async def close(self) -> None: ...


class StockTransport(Transport, Protocol):
    """A transport that can also change which models an engine has."""

    def pull(self, engine: Engine, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Have the engine fetch a model. Who may have that done is asked before."""

    def delete(self, permit: Permit, target: Target) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Have the engine delete a model that it listed; needs the Permit for that."""


class Adapter(Protocol):
    """What one kind of engine needs; pure. See facts/engines.md section 0 for why each member exists."""

    kind: Kind
    default_url: str | None
    """Where discovery looks; None = not discoverable."""
    concurrency: int
    """Default number of requests at once."""
    loaded_models: int | None
    """Default number of models in memory at once; None = the engine serves what it has and never swaps."""
    always_stream: bool
    """The engine notices a leaving caller only in a stream: stream from it always, and aggregate in the gateway."""
    paths: Mapping[Operation, str]
    """The path allow-list; an operation that is missing is not offered."""
    native: Mapping[Speech, Tongue]
    """The same for dialects beside OpenAI's that this kind speaks itself, and well (facts/engines.md 4.4)."""
    probe: UpstreamRequest
    """Ready probe (GET): any 200 whose body `is_mine` accepts."""
    listing: UpstreamRequest
    """The request that lists models (GET)."""
    prompt_path: str | None
    """Where `count_prompt` goes; None = this kind counts no prompts."""
    pull_path: str | None
    """Where `pull` goes; None = this kind fetches no models on request."""
    deletes: bool
    """Whether this kind deletes models on request."""

    def is_mine(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the answer to `probe` comes from this kind of engine (several share a default port)."""

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        """The models in the answer to `listing`, in its order."""

    def offers(self, call: Call) -> bool:
        """Whether this kind of engine can be asked for `call`."""

    def build(self, call: Call, target: Target, *, stream: bool, salt: str) -> UpstreamRequest:
        """The request for `call`: known parameters only, `model` the engine's own id, usage forced, quirks handled.

        `stream` is whether to stream from the engine (see `always_stream`). `salt` is an opaque per-caller value for
        engines that can isolate their prefix cache. Raises Refusal(OPERATION_NOT_SUPPORTED) or (INVALID_PARAMETER).
        """

    def left_out(self, call: Call, *, native: bool = False) -> tuple[str, ...]:
        """Names of the call's parameters that this engine has nothing for: it goes without them, and the caller is told
        so. `native`: it is asked in the call's own dialect."""

    def build_native(self, call: Call, target: Target, *, stream: bool, salt: str) -> UpstreamRequest | None:
        """The same in the call's own dialect; None where this kind, or this engine, has no route that can say all of
        it. Raises what `build` raises."""

    def explain(self, status: int, content_type: str, body: bytes, retry_after: float | None) -> UpstreamError:
        """What an answer with an error status means; nothing of `body` may reach the caller."""

    def silent(self, call: Call) -> UpstreamError:
        """What it means that a stream with status 200 ended properly without a single byte."""

    def count_prompt(self, call: Call, target: Target) -> UpstreamRequest | None:
        """A request that counts the tokens of the call's prompt as the engine's template makes it; None where the
        engine has none that is free of side effects."""

    def count(self, target: Target, text: str) -> UpstreamRequest | None:
        """A request that counts the tokens of `text`, for engines that report no usage in streams; None elsewhere."""

    def counted(self, document: JSON) -> int | None:
        """The count in the answer to `count` or `count_prompt`."""

    def pull(self, model: str) -> UpstreamRequest | None:
        """A request that has the engine fetch `model`; None where it cannot, or where the model is none that would run
        on its machine."""

    def pulled(self, line: Object) -> Pulled:
        """What one line of the answer to `pull` says."""

    def delete(self, model: Model) -> UpstreamRequest | None:
        """A request that has the engine delete a model that it listed; None where it cannot. The path may end in the
        model's id, so it is not one of the constants."""
