"""Puts one kind of engine after the other on a stage: each is started once, when its first cell comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from engines.contract import Kind
from policies.json import Object, as_str
from tests.compatibility.real import REAL, real
from tests.compatibility.stages import Behind, Scripted, Stage
from tests.engines.fakes import Fake
from tests.system.process import Gateway, configuration
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Send

_OFFERED = "Org/Tiny"


class Theatre:
    """`stage` gives one for a test; what stands there stays until another kind is asked for, or the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._now: Stage | None = None

    @contextmanager
    def stage(self, kind: Kind) -> Iterator[Stage]:
        """The stage of `kind`; the engine is left as it was found."""
        if self._now is None or self._now.kind is not kind:
            self.close()
            self._now = self._stack.enter_context(_stage(kind, self._folder / kind))
        try:
            yield self._now
        finally:
            self._now.behind.rest()

    def close(self) -> None:
        """Nothing stands any more."""
        self._now = None
        self._stack.close()


@contextmanager
def _stage(kind: Kind, folder: Path) -> Iterator[Stage]:
    folder.mkdir()
    with _behind(kind, folder) as (behind, engine):
        gateway = Gateway(folder / "gateway", configuration("", engine=engine))
        try:
            key = gateway.create_key("caller")
            gateway.start().ready(30.0)
            yield Stage(behind, gateway, key, as_str(engine.get("model")) or _OFFERED.lower())
            assert gateway.stop() == 0
        finally:
            gateway.kill()


def _behind(kind: Kind, folder: Path) -> AbstractContextManager[tuple[Behind, Object]]:
    return real(kind, folder) if kind in REAL else _scripted(kind)


@contextmanager
def _scripted(kind: Kind) -> Iterator[tuple[Behind, Object]]:
    with RecordingEngine() as engine:
        fake = Fake(kind, [_OFFERED])
        engine.listing = lambda asked: [Send(fake.answer(asked.path))]
        yield Scripted(kind, engine), {"name": "played", "kind": kind.value, "url": engine.url}
        engine.release()
