"""One client program's run through a gateway of its own, in front of an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from engines.tiny import serve
from policies.json import Object, as_object
from tests.clients.real_engine import RealEngine
from tests.clients.report import Driver, Place
from tests.system.process import Gateway, configuration

Entry: TypeAlias = tuple[RealEngine, Object]
"""An engine that runs, and its place in the configuration."""


@dataclass(frozen=True, slots=True)
class Run:
    """One engine, and what one client reported of it."""

    engine: RealEngine
    model: str
    report: Object

    def part(self, name: str) -> Object:
        found = as_object(self.report[name])
        assert "failed" not in found, found
        return found


@contextmanager
def run_of(entry: Entry, drive: Driver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Each client gets a gateway of its own, because it may lock itself out in the end."""
    engine, document = entry
    config = configuration("http://unused", engine=document, identity={"lockout": {"failures": 3}})
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), config)
    try:
        # Before the start: asking whether a new key is accepted yet counts as a failure, and three are enough here.
        key, narrow = gateway.create_key("client"), gateway.create_key("narrow", "--model", "other-*")
        gateway.start().ready(30.0)
        base_url = f"http://{gateway.address[0]}:{gateway.address[1]}/v1"
        place = Place(base_url, key.secret, narrow.secret, serve.ALIAS, engine.embeddings)
        yield Run(engine, serve.ALIAS, drive(place))
        assert gateway.stop() == 0
        assert key.secret not in gateway.logged()
    finally:
        gateway.kill()
