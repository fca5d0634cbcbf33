"""An admin listener on a free port with two real keys, what it keeps, and the real OPAs that poll it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.admin.api import AdminApi
from edge.admin.data import PolicyAdmin
from edge.admin.handler import AdminHandler, Readiness
from edge.admin.metrics import METRICS, MetricsPage
from edge.admin.reports import Events
from edge.admin.routes import SCOPES, PolicyPlane, policy_routes
from edge.dialects.errors import render
from edge.identity.authenticate import Authenticator
from edge.identity.directory import KeyDirectory, prepare
from edge.identity.grant import Grant
from edge.identity.store.store import KeyStore
from edge.inflight import Inflight
from edge.listener.server import Listener
from edge.policy.active import ActivePolicy
from edge.policy.instances import InstanceMemory, Instances
from edge.policy.signing_key import SigningKey
from observability.metrics.catalogue import LOADS
from observability.metrics.registry import Registry
from observability.observers import AccessLines
from policies.bundle import Bundle
from policies.call import Dialect
from policies.engine import PolicyEngineError
from policies.exchange import Exchange
from policies.json import JSON, Object
from policies.opa.api import DataApi, Place
from policies.principal import Scope
from tests.edge.identity.fixtures import PEPPERS, Clock, open_store
from tests.edge.listener.harness import Answer, Caller

OPA: Final = Path(sys.executable).parent / "opa"
CONFIG: Final = Path(__file__).parents[3] / "deploy" / "opa" / "opa.yaml"
PATIENCE: Final = 20.0


def policy(answer: str) -> Bundle:
    """A policy whose decision says `answer`, so that one can see which one answers."""
    text = f'package gateway.authz\n\ndecision := {{"allow": data.gwcfg.open, "revision": "{answer}"}}\n'
    return Bundle({"access.rego": text}, {"access_test.rego": "package gateway.authz_test\n"}, {"open": True})


@dataclass
class Heard:
    """Decision events as the listener handed them on; one without `path` means nothing."""

    events: list[Object] = field(default_factory=list)

    async def take(self, events: Sequence[JSON]) -> int:
        kept = [event for event in events if isinstance(event, dict) and "path" in event]
        self.events += kept
        return len(kept)


@dataclass
class Lines:
    """Access lines."""

    written: list[Object] = field(default_factory=list)

    def write(self, line: Object) -> None:
        self.written.append(line)

    @property
    def dropped(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing."""


@dataclass
class Admin:
    """A running admin listener. `key` has scope admin, `plain` has not."""

    listener: Listener
    active: ActivePolicy
    signing: SigningKey
    directory: KeyDirectory
    store: KeyStore
    inflight: Inflight
    key: str
    plain: str
    clock: Clock
    instances: Instances
    heard: Heard = field(default_factory=Heard)
    lines: Lines = field(default_factory=Lines)
    callers: list[Caller] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.port}/policy"

    async def call(self) -> Caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port, limit=1 << 22)
        caller = Caller(reader, writer)
        self.callers.append(caller)
        return caller

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        key: str | None = "",
    ) -> Caller:
        """Begin a request on a connection of its own; as the admin unless another `key` (None: without one)."""
        caller = await self.call()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        if key is not None:
            lines.append(f"Authorization: Bearer {key or self.key}")
        if body or method in {"POST", "PUT"}:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await caller.send("\r\n".join([*lines, "", ""]).encode() + body)
        return caller

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        key: str | None = "",
    ) -> Answer:
        """One request and its whole answer."""
        return await (await self.send(method, path, headers, body, key=key)).answer()

    def waiting(self) -> list[Exchange]:
        """Requests under way."""
        return [scope.exchange for scope in self.inflight._scopes]

    async def document(self, path: str) -> Object:
        answer = await self.ask("GET", path)
        assert answer.status == 200
        document: Object = json.loads(answer.body)
        return document

    def reload_keys(self) -> None:
        """What the watcher does when the store has changed."""
        ended = self.directory.swap(prepare(self.store.load_all()), self.clock())
        self.inflight.cut_keys(ended)


@asynccontextmanager
async def admin(
    home: Path,
    *,
    instances: Instances | None = None,
    most_waiting: int = 256,
    monotonic: Callable[[], float] = time.monotonic,
    tool: PolicyAdmin | None = None,
    events: Events | None = None,
    logs: bool = True,
) -> AsyncIterator[Admin]:
    """An admin listener on 127.0.0.1 with policy `one` in force."""
    clock, store, directory = Clock(), _store(home), KeyDirectory(PEPPERS)
    active, signing, inflight, lines, heard = (
        ActivePolicy(policy("one")),
        SigningKey(home),
        Inflight(),
        Lines(),
        Heard(),
    )
    instances = instances or InstanceMemory()
    registry = Registry(clock)
    registry.counter(LOADS).add(("e", "m"))
    plane = PolicyPlane(
        active=active,
        signer=signing.signer,
        clock=monotonic,
        wall=clock,
        source=lambda: "test",
        instances=instances,
        events=(events or heard) if logs else None,
        admin=tool,
        most_waiting=most_waiting,
    )
    api = AdminApi(
        authenticator=Authenticator(directory, now=clock),
        routes={**policy_routes(plane), ("GET", METRICS): MetricsPage(registry, clock=time.monotonic).show},
        scopes=SCOPES,
        observer=AccessLines(lines),
        clock=time.monotonic,
        wall=clock,
        inflight=inflight,
    )
    handler = AdminHandler(readiness=lambda: Readiness(ready=True, why=""), randomness=os.urandom, api=api)
    listener = Listener(handler, lambda refusal, _client, _path: render(refusal, Dialect.OPENAI, "-"), name="admin")
    key = store.create(Grant("boss", scopes=(Scope.ADMIN,)))[1].text
    plain = store.create(Grant("ci"))[1].text
    running = Admin(listener, active, signing, directory, store, inflight, key, plain, clock, instances, heard, lines)
    running.reload_keys()
    await listener.start("127.0.0.1", 0)
    try:
        yield running
    finally:
        for caller in running.callers:
            await caller.close()
        await listener.close()
        store.close()


def _store(home: Path) -> KeyStore:
    home.mkdir(exist_ok=True)
    return open_store(home)


@dataclass
class Opa:
    """A real OPA that polls."""

    process: asyncio.subprocess.Process
    api: DataApi

    async def decides(self) -> JSON:
        """The decision's value, or None while there is none."""
        try:
            return await self.api.evaluate(b'{"model":"m"}')
        except PolicyEngineError:
            return None

    async def says(self, answer: str) -> None:
        """Wait until the policy that says `answer` decides."""
        async with asyncio.timeout(PATIENCE):
            while await self.decides() != {"allow": True, "revision": answer}:
                assert self.process.returncode is None
                await asyncio.sleep(0.005)


@asynccontextmanager
async def opa(url: str, token: str, public_key: bytes, *, home: Path | None = None) -> AsyncIterator[Opa]:
    """An OPA with the configuration of deploy/opa; what it persists goes to `home`."""
    async with AsyncExitStack() as stack:
        # Short, since a UNIX socket's path may have a hundred bytes, and pytest's folders have long names.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opa-")))
        (folder / "token").write_text(token)
        (folder / "public-key.pem").write_bytes(public_key)
        environment = {
            "LLM_GATEWAY_POLICY_URL": url,
            "LLM_GATEWAY_TOKEN_FILE": str(folder / "token"),
            "OPA_PERSISTENCE_DIRECTORY": str(home or folder),
            "HOME": str(folder),
        }
        options = ["--config-file", str(CONFIG), "--set-file", f"keys.llm-gateway.key={folder / 'public-key.pem'}"]
        process = await asyncio.create_subprocess_exec(
            *(str(OPA), "run", "--server", "--addr", f"unix://{folder / 'opa.sock'}", "--skip-version-check", *options),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        stack.push_async_callback(_end, process)
        api = DataApi(Place(f"unix://{folder / 'opa.sock'}"), timeout=2.0)
        stack.push_async_callback(api.close)
        yield Opa(process, api)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def until(condition: Callable[[], object]) -> None:
    """Wait for `condition`, at most `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
