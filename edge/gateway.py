"""Puts the house together: settings in, a running gateway out. The only module that knows all parts.

start()   state folder, database, keys, listeners: everything that can fail says so before anything is served
stop()    readiness off first, then the listeners drain, then the parts close in the reverse order
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.admin.handler import AdminHandler, Readiness
from edge.admin.stacks import Place
from edge.administration import AdminParts, admin_api
from edge.bookkeeping import Books, open_books
from edge.config.load import Source
from edge.config.presets import Preset
from edge.config.settings import ADMIN, EngineSettings, Settings
from edge.cors import CrossOrigin
from edge.descriptors import raise_limit
from edge.dialects.errors import render
from edge.doors import Door, listener_of, rename
from edge.fleet import Demo, Fleet
from edge.following import Followed, Switch
from edge.identity.authenticate import Authenticator, TokenVerifier
from edge.identity.directory import KeyDirectory
from edge.identity.following import ConfiguredKeysWatcher
from edge.identity.lockout import Lockout
from edge.identity.store.configured import ConfiguredKeys
from edge.identity.store.opening import Keys, open_keys
from edge.identity.watcher import KeyWatcher
from edge.inflight import Inflight
from edge.intake.offload import Parser
from edge.intake.routes import Routes, dialect_of
from edge.limits.settings import DEFAULT, LimitClass
from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Headers
from edge.listener.server import Listener, require_c_parser
from edge.live import Live
from edge.logs import access_lines
from edge.origin.opening import open_origins
from edge.pipeline import Line, Manner
from edge.policy.opening import PolicyPart, open_policy
from edge.policy.service import PolicyService
from edge.presets.choice import Presets
from edge.queue.engine_queue import Queues
from edge.queue.gate import CallerGates, RateClass
from edge.queue.opening import open_queues
from edge.reply import Pulse
from edge.responses.opening import open_shelf
from edge.shared import Shared
from edge.stock.pulls import Pulls
from edge.tasks import Tasks
from edge.telemetry import Parts, Telemetry
from engines.adapters.registry import adapter_for
from engines.contract import Engine
from engines.transport import HttpTransport
from observability.captures.log import CAPTURES, CaptureLog
from observability.ids import new_id
from observability.lines import LineSink
from observability.observers import AccessLines, Observers
from policies.errors import Refusal
from policies.exchange import Client

if TYPE_CHECKING:
    from edge.tls.keeper import Keeper

_log = logging.getLogger(__name__)
_EXPIRY_POLL: Final = 0.5


class Gateway:
    """One gateway process. To be made inside the running event loop."""

    def __init__(
        self, settings: Settings, home: Path, journal: LineSink | None = None, source: Source | None = None
    ) -> None:
        """`journal`: the lines on stderr, where the process's own log goes there, too; whoever opened it closes it.
        Without a `source`, changes of the file are not followed."""
        self._settings = settings
        self._source = source
        self._journal = journal
        self._home = home
        self._tasks = Tasks()
        self._presets = Presets(settings.models.presets)
        self._listeners: list[Listener] = []
        self._admin: Listener | None = None
        self._shared: Shared | None = None
        self._policy_service: PolicyService | None = None
        self._close: list[Callable[[], Awaitable[None] | None]] = []
        self.doors: list[Door] = []
        self.first_key: str | None = None
        """The key made on the very first start; it is shown once and stored nowhere."""

    @property
    def fleet(self) -> Fleet:
        """The engines; only after `start`."""
        if self._shared is None:
            raise RuntimeError("not started")
        return self._shared.fleet

    async def start(self, demo: Demo) -> None:
        """Open everything. Raises StateError, ListenError; what was opened by then is closed by `stop`."""
        require_c_parser()
        raise_limit(sum(each.limits.connections for each in self._settings.listeners))
        keys = open_keys(self._home, self._settings.stores.database)
        self._close.append(keys.store.close)
        self._follow_keys(keys)
        inflight, telemetry = Inflight(), Telemetry(self._settings.telemetry, self._tasks, time.time)
        self._close.append(telemetry.close)
        watcher, directory, authenticator = self._identity(keys, inflight)
        policy, books = await self._policy_and_books(keys, telemetry)
        transport = HttpTransport()
        turning = open_queues(self._settings.queue, self._settings.stores.redis, self._settings.limits)
        queues = turning.queues
        self._close += [transport.close, turning.close]
        parser = Parser(self._settings.json)
        self._close.append(parser.close)
        lines, ours = access_lines(self._settings.telemetry, self._home, self._journal)
        if ours:
            self._close.append(lines.close)
        captures = CaptureLog(self._home / CAPTURES, self._settings.telemetry.capture)
        self._close.append(lambda: asyncio.to_thread(captures.close))
        captures.open()
        fleet = self._fleet(transport, queues)
        self._close.append(fleet.stop)
        shelf = open_shelf(self._settings.responses, keys.database, self._tasks)
        self._close.append(lambda: asyncio.to_thread(shelf.close))
        self._shared = Shared(
            authenticator=authenticator,
            enforcement=policy.enforcement,
            parser=parser,
            transport=transport,
            queues=queues,
            callers=_callers(self._settings),
            accounts=books.accounts,
            shelf=shelf,
            pulse=Pulse(self._settings.queue.tell_after, self._settings.queue.tell_every),
            observers=Observers([AccessLines(lines), *telemetry.observers(fleet), captures]),
            captures=captures,
            tasks=self._tasks,
            clock=time.monotonic,
            wall=time.time,
            randomness=os.urandom,
            salt_key=os.urandom(32),
            fleet=fleet,
            presets=self._presets,
            inflight=inflight,
            pulls=Pulls(self._settings.models.pull),
            tracer=telemetry.tracer,
            origin=open_origins(self._tasks, time.monotonic, wanted=self._settings.identity.containers),
        )
        live = _live(self._shared, telemetry)
        self._close.append(live.close)
        breakers = self._shared.breakers
        telemetry.watch(Parts(fleet, queues, transport, breakers, inflight, books, policy, lines, captures, self._open))
        parts = AdminParts(self._shared, policy, telemetry, live, keys, directory, transport, self._places, self._home)
        await self._open_listeners(parts)
        # Last of what can fail: a key that nobody was shown would stay valid for ever.
        self.first_key = first_key(keys)
        watcher.load()
        await fleet.start(demo)
        policy.service.look()

    async def stop(self) -> None:
        """Drain and close; safe after a failed or partial `start`."""
        if self._shared is not None:
            self._shared.draining = True
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(listener.drain())
        await self._tasks.close()
        for close in reversed(self._close):
            done = close()
            if done is not None:
                await done
        if self._admin is not None:
            await self._admin.close()

    def _identity(self, keys: Keys, inflight: Inflight) -> tuple[KeyWatcher, KeyDirectory, Authenticator]:
        directory = KeyDirectory(keys.peppers)
        watcher = KeyWatcher(keys.store, directory, lambda ended: _ignore(inflight.cut_keys(ended)), now=time.time)
        watcher.load()
        _ = self._tasks.keep(watcher.run, name="key watch")
        _ = self._tasks.keep(lambda: _cut_expired(inflight), name="expiry watch")
        lockout = Lockout(self._settings.identity.lockout)
        return watcher, directory, Authenticator(directory, self._verifier(), lockout=lockout)

    def _follow_keys(self, keys: Keys) -> None:
        """The keys of the configuration, now and from now on: before anything listens, so that they work at once."""
        entries, source = self._settings.keys, self._source or Source(None, lambda: self._settings)
        follow = ConfiguredKeys(keys.database, keys.peppers, time.time).follow
        switch = Switch(asyncio.get_running_loop(), self._take_presets)
        followed = Followed(self._settings, source.read, follow, switch)
        watcher = ConfiguredKeysWatcher(entries, source.file, followed.read, followed.follow)
        follow(entries)
        _ = self._tasks.keep(watcher.run, name="configured keys watch")

    def _take_presets(self, presets: Mapping[str, Preset]) -> None:
        self._presets.take(presets)
        if self._shared is not None:
            self._shared.fleet.presets_changed()

    async def _policy_and_books(self, keys: Keys, telemetry: Telemetry) -> tuple[PolicyPart, Books]:
        """Both at once: the policy's engine is a process that takes 60 ms to start, and the books are read meanwhile.

        Where one cannot be had, the other is waited for all the same, so that `stop` finds and closes it.
        """
        opening = self._policy(keys, telemetry), self._books(keys)
        policy, books = await asyncio.gather(*opening, return_exceptions=True)
        if isinstance(policy, BaseException):
            raise policy
        if isinstance(books, BaseException):
            raise books
        return policy, books

    async def _books(self, keys: Keys) -> Books:
        books = await open_books(self._settings, keys.database, self._tasks)
        self._close.append(books.close)
        return books

    async def _policy(self, keys: Keys, telemetry: Telemetry) -> PolicyPart:
        policy = await open_policy(self._settings, self._home, keys.database, self._tasks, telemetry.decided)
        self._close.append(policy.close)
        self._policy_service = policy.service
        return policy

    def _verifier(self) -> TokenVerifier | None:
        issuers = self._settings.identity.issuers
        if not issuers:
            return None
        from edge.identity.jwks import HttpFetcher, keys_of  # PyJWT and cryptography: 90 ms, only where issuers are
        from edge.identity.jwt import JwtVerifier

        fetch = HttpFetcher()
        verifier = JwtVerifier([(issuer, keys_of(issuer, fetch)) for issuer in issuers], now=time.time)
        _ = self._tasks.keep(verifier.run, name="issuer keys")
        return verifier

    def _fleet(self, transport: HttpTransport, queues: Queues) -> Fleet:
        settings = self._settings
        return Fleet(
            transport,
            [_engine(each) for each in settings.engines.list],
            aliases=settings.models.aliases,
            find=settings.engines.discover,
            own_ports=lambda: [door.port for door in self.doors],
            queues=queues,
            tasks=self._tasks,
            clock=time.monotonic,
            home=self._home,
            presets=lambda: self._presets.names,
        )

    def _places(self) -> list[Place]:
        """The data plane's doors."""
        return [Place(door.name, door.url, ip_address(door.host).is_loopback) for door in self.doors[:-1]]

    def _open(self) -> list[Listener]:
        return self._listeners if self._admin is None else [*self._listeners, self._admin]

    async def _open_listeners(self, parts: AdminParts) -> None:
        shared, routes, rejected = parts.shared, Routes(), functools.partial(_rejected, parts.telemetry)
        secured = self._secured()
        for settings in self._settings.listeners:
            cors = None if settings.cors is None else CrossOrigin(settings.cors)
            manner = Manner(settings.limits.body_bytes, settings.strict, settings.trace, cors)
            tls = secured.get(settings.name)
            listener = listener_of(Line(shared, manner, routes), rejected, settings, tls)
            self._listeners.append(listener)
            await listener.start(settings.bind.host, settings.bind.port)
            self.doors.append(Door(settings.name, settings.bind.host, listener.port, tls=tls is not None))
            if tls is not None:
                _ = self._tasks.keep(
                    functools.partial(tls.run, functools.partial(rename, listener, settings)), name="TLS"
                )
        bind = self._settings.admin.bind
        handler = AdminHandler(readiness=self._readiness, randomness=os.urandom, api=admin_api(parts))
        self._admin = Listener(handler, rejected, name=ADMIN, hosts=HostPolicy.of(bind.host))
        await self._admin.start(bind.host, bind.port)
        self.doors.append(Door(ADMIN, bind.host, self._admin.port))
        self._warn_of_exposure()  # only now: a start that fails says one thing

    def _secured(self) -> Mapping[str, Keeper]:
        if all(listener.tls is None for listener in self._settings.listeners):
            return {}
        from edge.tls.opening import open_keepers  # cryptography: 90 ms, only where there is TLS

        return open_keepers(self._settings.listeners, self._home, time.time)

    def _warn_of_exposure(self) -> None:
        for door in self.doors:
            if door.exposed:
                _log.warning(
                    "listener %s on %s:%d has no TLS (insecure: true): keys and prompts can be read on its networks",
                    door.name,
                    door.host,
                    door.port,
                )

    def _readiness(self) -> Readiness:
        if self._shared is None or self._shared.draining:
            return Readiness(ready=False, why="draining")
        if self._policy_service is None or not self._policy_service.ready:
            return Readiness(ready=False, why="the policy engine does not answer")
        if not self._shared.fleet.catalogue.models():
            return Readiness(ready=False, why="no engine with a model is up")
        return Readiness(ready=True, why="")


@contextlib.asynccontextmanager
async def running(
    settings: Settings, home: Path, demo: Demo, journal: LineSink | None = None, source: Source | None = None
) -> AsyncIterator[Gateway]:
    """A started gateway, drained and closed at the end, also when starting fails half way. Arguments as `Gateway`."""
    gateway = Gateway(settings, home, journal, source)
    try:
        await gateway.start(demo)
        yield gateway
    finally:
        await gateway.stop()


def _rejected(telemetry: Telemetry, refusal: Refusal, client: Client, path: str) -> tuple[int, Headers, bytes]:
    """What the wire checks refuse, in the dialect the path suggests; there is no exchange yet, so no access line."""
    telemetry.rejected(refusal, client)
    return render(refusal, dialect_of(path), new_id(os.urandom))


def _callers(settings: Settings) -> CallerGates:
    """What each credential may do at once, in all and in each class; 0 is refused by the limits themselves."""
    classes = {name: RateClass(each.concurrency or None) for name, each in settings.limits.classes.items()}
    default = settings.limits.classes.get(DEFAULT, LimitClass()).concurrency
    return CallerGates(settings.queue, classes, default=default)


def first_key(keys: Keys) -> str | None:
    """On a database that never held one: the first key, for the owner of this machine; the only one made unasked."""
    if not keys.store.untouched:
        return None
    from edge.identity.grant import Grant

    _, token = keys.store.create(Grant("first"))
    return str(token.text)


def _live(shared: Shared, telemetry: Telemetry) -> Live:
    return Live(
        inflight=shared.inflight,
        fleet=shared.fleet,
        queues=shared.queues,
        registry=telemetry.registry,
        observers=shared.observers,
        draining=lambda: shared.draining,
        clock=shared.clock,
        wall=shared.wall,
    )


async def _cut_expired(inflight: Inflight) -> None:
    while True:
        await asyncio.sleep(_EXPIRY_POLL)
        inflight.cut_expired(time.time())


def _ignore(_: object) -> None:
    return None


def _engine(settings: EngineSettings) -> Engine:
    adapter = adapter_for(settings.kind)
    return settings.engine(adapter.concurrency, adapter.loaded_models)
