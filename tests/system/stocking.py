"""A gateway in front of an engine that fetches and deletes models, and what callers say to it."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from engines.contract import Kind
from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import CHAT
from tests.system.process import Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.stocked_engine import Stocked
from tests.system.wire import Answer, Wire, compose, loads

ENGINES: Final = pytest.mark.parametrize("kind", [Kind.OLLAMA, Kind.DOCKER_MODEL_RUNNER])
DIALECTS: Final = pytest.mark.parametrize("dialect", ["ollama", "model-runner"])
ALL: Final = ("--scope", "inference", "--scope", "models:read", "--scope", "models:write")


HERE: Final = "here"
"""A model that is always there: a gateway without one is not ready."""


class Place:
    """A gateway in front of one stocked engine, and a key that may do everything with models."""

    def __init__(self, folder: Path, kind: Kind, **changes: JSON) -> None:
        self.stocked = Stocked(kind, [HERE])
        self.engine = RecordingEngine()
        self._keys: dict[str, Key] = {}
        boxed: Object = {"name": "box", "kind": kind.value}
        with ExitStack() as stack:
            stack.enter_context(self.engine)
            self.stocked.behind(self.engine)
            self.gateway = Gateway(folder, configuration(self.engine.url, engine=boxed, **changes))
            stack.callback(self.gateway.kill)
            self.gateway.start().ready()
            self.writer: Key = self.gateway.create_key("writer", *ALL)
            self.close = stack.pop_all().close

    def again(self, *models: str) -> None:
        """As if nothing had happened yet, and with these models."""
        self.engine.release()
        self.engine.forget()
        self.stocked.again([HERE, *models])
        self.stocked.behind(self.engine)
        if self.names() != sorted(models):
            # Whoever asks for a model that is not there makes the gateway look.
            until(lambda: self.chat("nowhere").status == 403 and self.names() == sorted(models), 10.0, "it is seen")
        self.engine.forget_requests()

    def key(self, name: str, *arguments: str) -> Key:
        """The key of that name, made once."""
        if name not in self._keys:
            self._keys[name] = self.gateway.create_key(name, *arguments)
        return self._keys[name]

    def ask_pull(self, dialect: str, model: str, key: Key | None = None, /, **extra: JSON) -> Wire:
        path, name = ("/api/pull", "model") if dialect == "ollama" else ("/models/create", "from")
        wire = self.gateway.open()
        wire.send(compose("POST", path, (key or self.writer).bearer, body={name: model, **extra}))
        return wire

    def pull(self, dialect: str, model: str, key: Key | None = None, /, **extra: JSON) -> Answer:
        with self.ask_pull(dialect, model, key, **extra) as wire:
            return wire.answer()

    def delete(self, dialect: str, model: str, key: Key | None = None) -> Answer:
        bearer = (key or self.writer).bearer
        with self.gateway.open() as wire:
            if dialect == "ollama":
                return wire.ask(compose("DELETE", "/api/delete", bearer, body={"model": model}))
            return wire.ask(compose("DELETE", f"/models/{model}", bearer))

    def chat(self, model: str) -> Answer:
        asked: Object = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return self.gateway.post(CHAT, asked, self.writer.bearer)

    def names(self) -> list[str]:
        listed = loads(self.gateway.get("/v1/models", self.writer.bearer).body)
        found = [as_str(as_object(each)["id"]) for each in as_list(listed["data"])]
        assert HERE in found
        return sorted(name for name in found if name != HERE)


class Places:
    """One for each kind, made when it is asked for; with settings of its own for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shared: dict[Kind, Place] = {}
        self._own: list[Place] = []
        self._made = 0

    def __call__(self, kind: Kind, *models: str, **changes: JSON) -> Place:
        """A place whose engine has `models`."""
        if changes:
            self._made += 1
            place = Place(self._folder / f"own{self._made}", kind, **changes)
            self._own.append(place)
        else:
            if kind not in self._shared:
                self._shared[kind] = Place(self._folder / kind.value, kind)
            place = self._shared[kind]
        place.again(*models)
        return place

    def after(self) -> None:
        """A test is over."""
        for place in (*self._shared.values(), *self._own):
            place.engine.release()
            assert place.engine.pipelined == b""
            assert place.gateway.process.poll() is None, place.gateway.err.text
        for place in self._own:
            place.close()
        self._own.clear()

    def close(self) -> None:
        for place in self._shared.values():
            place.close()


def told(answer: Answer) -> list[Object]:
    """The lines of a stream."""
    assert answer.status == 200, answer
    assert answer.body.endswith(b"\n")
    return [loads(line) for line in answer.body.splitlines()]


def reason(answer: Answer) -> str:
    """The reason's code in a refusal, in either dialect."""
    found = re.search(r"\(([a-z_]+)\)", answer.body.decode())
    assert found, answer
    return found[1]
