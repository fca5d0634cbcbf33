"""Looks for the known engines where they listen by default, and asks engines how they are.

Several kinds share a port (llama-server, mlx-lm and this gateway 8080; vLLM and llama-cpp-python 8000), so a place
counts only when the answer to the kind's probe has that kind's shape. Probes carry no credential and no body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from engines.adapters import listings
from engines.adapters.registry import ADAPTERS, adapter_for
from engines.contract import Engine, Kind, Model, UpstreamRequest, UpstreamResponse
from policies.errors import EngineBroke, UpstreamError
from policies.json import JSON

# Start-up stays below a second in all; an engine on this machine answers a constant within milliseconds.
DISCOVERY_DEADLINE: Final = 0.45
# llama-cpp-python's /openapi.json is the largest at some 60 KiB.
PROBE_LIMIT: Final = 1 << 20
LISTING_LIMIT: Final = 8 << 20
IN_DOCKER: Final = "http://model-runner.docker.internal"
HOST: Final = "host.docker.internal"
OK: Final = 200


class Probed(UpstreamResponse, Protocol):
    """An answer to a probe, with its headers (lower-case names): the shape of a `Server` header tells kinds apart."""

    @property
    def headers(self) -> Mapping[str, str]: ...


class Prober(Protocol):
    """The part of a transport that discovery needs."""

    def probe(self, engine: Engine, request: UpstreamRequest) -> AbstractAsyncContextManager[Probed]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine of `kind` may be."""

    kind: Kind
    url: str


def places(*, container: bool = False, host: bool = False) -> tuple[Place, ...]:
    """The default places. In a container Docker Model Runner has a name of its own; with `host` the machine that the
    container runs on is looked at, too.

    Only there: elsewhere that name goes to the resolver of whatever network this is, which may take seconds to say no.
    """
    found = [Place(kind, adapter.default_url) for kind, adapter in ADAPTERS.items() if adapter.default_url]
    if host:
        # Not Docker Model Runner's: Docker Desktop's is the one of IN_DOCKER, and one engine must not count as two.
        others = [place for place in found if place.kind is not Kind.DOCKER_MODEL_RUNNER]
        found += [Place(place.kind, place.url.replace("127.0.0.1", HOST)) for place in others]
    if container:
        found.append(Place(Kind.DOCKER_MODEL_RUNNER, IN_DOCKER))
    return tuple(found)


def in_container() -> bool:
    """Whether this process runs in a Docker or Podman container."""
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()


def host_is_named(hosts: Path = Path("/etc/hosts")) -> bool:
    """Whether who started this container gave the host its name (`extra_hosts`): then no resolver is asked for it."""
    try:
        lines = hosts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(HOST in line.partition("#")[0].split()[1:] for line in lines)


async def discover(
    prober: Prober,
    candidates: Sequence[Place] | None = None,
    *,
    taken: Collection[Engine] = (),
    deadline: float = DISCOVERY_DEADLINE,
) -> list[Engine]:
    """The engines that answer at `candidates` (default: `places()`) within `deadline` seconds, in that order.

    Places of engines in `taken` are not asked, and their names are not given again.
    """
    known = {engine.url for engine in taken}
    asked = [place for place in (places() if candidates is None else candidates) if place.url not in known]
    there: set[Place] = set()

    async def look(place: Place) -> None:
        if await recognised(prober, _engine(place, place.kind.value)):
            there.add(place)

    try:
        async with asyncio.timeout(deadline), asyncio.TaskGroup() as group:
            for place in asked:
                group.create_task(look(place))
    except TimeoutError:
        pass  # who has not answered by now is not there
    return _named([place for place in asked if place in there], {engine.name for engine in taken})


async def recognised(prober: Prober, engine: Engine) -> bool:
    """Whether what listens at the engine's URL is an engine of its kind."""
    adapter = adapter_for(engine.kind)
    try:
        async with prober.probe(engine, adapter.probe) as answer:
            body = await answer.read(PROBE_LIMIT)
            return adapter.is_mine(answer.status, answer.headers, body)
    except UpstreamError:
        return False


async def alive(prober: Prober, engine: Engine) -> bool:
    """Whether the engine answers its probe with 200. Its shape is not judged: the operator said what it is, and a
    proxy in front of it may rewrite its `Server` header."""
    try:
        async with prober.probe(engine, adapter_for(engine.kind).probe) as answer:
            await answer.read(PROBE_LIMIT)
            return answer.status == OK
    except UpstreamError:
        return False


async def listed(prober: Prober, engine: Engine) -> list[Model]:
    """The engine's models. Raises UpstreamError, also for an answer that is no listing.

    A pinned engine does without one where its adapter can: mlx-lm hangs up when there is no Hugging Face cache to list.
    """
    adapter = adapter_for(engine.kind)
    try:
        return adapter.models(await _listing(prober, engine), engine)
    except UpstreamError:
        models = adapter.models({}, engine) if engine.model is not None else []
        if not models:
            raise
        return models


async def _listing(prober: Prober, engine: Engine) -> JSON:
    async with prober.probe(engine, adapter_for(engine.kind).listing) as answer:
        body = await answer.read(LISTING_LIMIT)
        if answer.status != OK:
            raise EngineBroke(f"listing: status {answer.status}")
    document = listings.parse(body)
    if not isinstance(document, dict):
        raise EngineBroke("listing: not a JSON object")
    return document


def _named(found: Sequence[Place], names: set[str]) -> list[Engine]:
    """One engine per place, called by its kind, and by its port too where that is taken; a URL is given once."""
    engines: dict[str, Engine] = {}
    for place in found:
        if place.url in engines:
            continue
        name = place.kind.value
        if name in names:
            name = f"{name}-{place.url.rpartition(':')[2].strip('/')}"
        if name not in names:
            names.add(name)
            engines[place.url] = _engine(place, name)
    return list(engines.values())


def _engine(place: Place, name: str) -> Engine:
    adapter = adapter_for(place.kind)
    return Engine(name, place.kind, place.url, adapter.concurrency, loaded_models=adapter.loaded_models)


Busy = Callable[[str], bool]
"""Whether the engine of that name has a request of ours in flight."""
