"""Runs the project's tiny model in a real engine, as a child process, for `up --demo`.

Started on a free port, leashed (`leash.py`), waited for until it has answered one real token (mlx-lm's `/health` says
200 before the model is loaded, facts/engines.md 2.3), started again when it dies, stopped with the gateway.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Target
from engines.discovery import alive, listed
from engines.tiny import serve
from engines.transport import HttpTransport
from policies.call import Call, Dialect, Operation
from policies.child import Child
from policies.decision import Permit, own_permit
from policies.errors import EngineBroke, EngineUnreachable, UpstreamError

READY_WITHIN: Final = 60.0
STOP_WITHIN: Final = 5.0
LOG: Final = "demo-engine.log"
_POLL: Final = 0.05
_LONGEST_PAUSE: Final = 30.0
_ANSWER_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to run one engine: its command line for a port, variables to add to our environment, the model's name."""

    kind: Kind
    argv: Callable[[int], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None


def tiny() -> Recipe:
    """The tiny model by whichever server is installed; EngineUnreachable if none is."""
    installed = serve.available()
    if "mlx_lm.server" in installed:
        return Recipe(Kind.MLX_LM, serve.mlx_lm_argv, serve.environment(), serve.ALIAS)
    if "llama_cpp.server" in installed:
        return Recipe(Kind.LLAMA_CPP_PYTHON, serve.llama_cpp_argv, serve.environment(), serve.ALIAS)
    raise EngineUnreachable("the demo needs mlx-lm or llama-cpp-python: install llm-gateway[mlx] or [llama-cpp]")


class DemoEngine:
    """One engine process. `start` it, keep `run` going in a task, `stop` it."""

    def __init__(
        self,
        transport: HttpTransport,
        folder: Path,
        recipe: Recipe,
        *,
        name: str = "demo",
        ready_within: float = READY_WITHIN,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """The process's output goes to `folder`/demo-engine.log, readable by us only; it starts empty each time."""
        self._transport = transport
        self._log = folder / LOG
        self._recipe = recipe
        self._ready_within = ready_within
        self._pause = pause
        self._child: Child | None = None
        self._stopping = False
        port = _free_port()
        self._argv = recipe.argv(port)
        concurrency = adapter_for(recipe.kind).concurrency
        self.engine: Final = Engine(name, recipe.kind, f"http://127.0.0.1:{port}", concurrency, model=recipe.model)

    async def start(self) -> Engine:
        """Start the process and wait until it answers. UpstreamError if it does not in time, or dies."""
        self._stopping = False
        try:
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        return self.engine

    async def run(self) -> None:
        """Start it again whenever it dies, with growing pauses while it keeps dying; until `stop`."""
        failures = 0
        while not self._stopping:
            if self._child is not None:
                await self._child.wait()
            if self._stopping:
                return
            await self._pause(min(2.0**failures, _LONGEST_PAUSE))
            try:
                await self._launch()
                failures = 0
            except UpstreamError:
                failures = min(failures + 1, 16)
                await self._end()

    async def stop(self) -> None:
        """End the process and everything it started: SIGTERM, then SIGKILL after five seconds."""
        self._stopping = True
        await self._end()

    async def _launch(self) -> None:
        if self._stopping:
            return
        environment = {**os.environ, **self._recipe.environment}
        self._child = await Child.start(self._argv, environment=environment, log=self._log, leashed=True)
        try:
            async with asyncio.timeout(self._ready_within):
                await self._until_alive(self._child)
                await self._one_token()
        except TimeoutError:
            raise EngineUnreachable(f"not ready within {self._ready_within:g} s, see {LOG}") from None

    async def _until_alive(self, child: Child) -> None:
        while not await alive(self._transport, self.engine):
            if child.code is not None:
                raise EngineUnreachable(f"ended with code {child.code}, see {LOG}")
            await asyncio.sleep(_POLL)

    async def _one_token(self) -> None:
        """Ask for one token, with a permit like any other request: the gateway is its own caller here."""
        models = await listed(self._transport, self.engine)
        if not models:
            raise EngineBroke("it offers no model")
        adapter, target = adapter_for(self.engine.kind), Target(self.engine, models[0])
        call = Call(Operation.CHAT, Dialect.OPENAI, max_tokens=1, body={"messages": [{"role": "user", "content": "?"}]})
        request = adapter.build(call, target, stream=False, salt="")
        async with self._transport.send(_permit(target.model.name), self.engine, request) as answer:
            body = await answer.read(_ANSWER_LIMIT)
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise adapter.explain(answer.status, answer.content_type, body, answer.retry_after)

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop(STOP_WITHIN)


def _permit(model: str) -> Permit:
    try:
        return own_permit(model)
    except ValueError:
        raise EngineBroke("its model has no usable name") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
