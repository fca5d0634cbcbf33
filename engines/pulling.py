"""Has an engine fetch a model, and says how far it is. Only for who may change what models there are, which is asked
before: a model is code and disk.

Engines tell of it in lines of JSON; `Adapter.pulled` reads one. An answer without a line that says that it is done is a
failure, as with any stream.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, Protocol

import orjson

from engines.adapters.registry import adapter_for
from engines.contract import Engine, Pulled, Timeouts, UpstreamRequest, UpstreamResponse
from policies.errors import EngineBroke
from policies.json import JSON, as_object
from policies.names import bare

_LONGEST_LINE: Final = 64 * 1024
_MOST_LAYERS: Final = 1000
_STEP: Final = 5
# A registry that is slow to begin, a layer that is verified without a word, tens of gigabytes by a thin line.
_TIMEOUTS: Final = Timeouts(first_byte=300.0, gap=600.0, total=12 * 3600.0)
_REFUSED_TEXT: Final = 4096
MISSING: Final = "the registry does not have it"
# Ollama: "pull model manifest: file does not exist"; Model Runner: "Model not found", "Unauthorized" (a registry says
# that of what does not exist, too).
_CAUSES: Final = (
    ("the disk is full", re.compile(r"no space left|disk quota|enospc")),
    (
        "the registry cannot be reached",
        re.compile(r"dial tcp|no such host|lookup |connection re|timeout|timed out|tls:"),
    ),
    (MISSING, re.compile(r"not found|does not exist|unauthor|unauthenticated|forbidden|manifest unknown|\b40[134]\b")),
)


class Puller(Protocol):
    """Sends what an adapter's `pull` made. Who may have that done is asked before."""

    def pull(self, engine: Engine, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]: ...


class PullRefused(Exception):
    """The engine does not fetch it; the text is the engine's, for admins who asked, and not cleaned. Nobody else sees
    it, nor a log: `cause` says what it comes to."""

    @property
    def cause(self) -> str:
        """One of a few words of ours; MISSING if there is no such model, or not for everybody."""
        text = str(self).lower()
        return next((word for word, sign in _CAUSES if sign.search(text)), "the engine's own log says why")


def can_pull(engine: Engine) -> bool:
    """Whether engines of that kind fetch models."""
    return adapter_for(engine.kind).pull_path is not None


async def pull(puller: Puller, engine: Engine, model: str) -> AsyncGenerator[int]:
    """Fetch `model`; yields percents, each higher than the last, in steps worth a line. PullRefused, UpstreamError.

    Ends when the engine has it. Leaving early leaves the engine, which may then go on or not.
    """
    tally, said = Tally(), 0
    async with aclosing(fetch(puller, engine, model)) as lines:
        async for pulled in lines:
            percent = tally.take(pulled)
            if percent >= said + _STEP or (pulled.done and percent > said):
                said = percent
                yield percent


async def fetch(puller: Puller, engine: Engine, model: str) -> AsyncGenerator[Pulled]:
    """Fetch `model`; yields what each line of the engine's says. PullRefused, UpstreamError.

    The engine is asked for the bare name (`policies.names.bare`): what was decided on is the canonical one, and an
    Ollama takes the `ai/` that Model Runner adds by itself for somebody's name space.
    """
    adapter = adapter_for(engine.kind)
    request = adapter.pull(bare(model))
    if request is None:
        raise PullRefused("engines of this kind fetch no models")
    done = False
    patient = replace(engine, timeouts=replace(_TIMEOUTS, connect=engine.timeouts.connect))
    async with puller.pull(patient, request) as got:
        if got.status != HTTPStatus.OK:
            raise PullRefused(_reason(await got.read(_REFUSED_TEXT)) or f"status {got.status}")
        async for line in _lines(got.chunks()):
            pulled = adapter.pulled(line)
            if pulled.error:
                raise PullRefused(pulled.error)
            done = done or pulled.done
            yield pulled
    if not done:
        raise EngineBroke("the pull ended without a word")


@dataclass(slots=True)
class Tally:
    """Adds up what layers have come to."""

    _layers: dict[str, tuple[int, int]] = field(default_factory=dict)
    _percent: int = 0
    total: int = 0
    """Bytes of all layers, as far as they are known."""

    @property
    def came(self) -> int:
        """Bytes of them that are there."""
        return sum(came for came, _ in self._layers.values())

    def take(self, pulled: Pulled) -> int:
        """The percent of all known of so far; never less than before, 100 once the engine says that it is done."""
        if pulled.layer and (pulled.layer in self._layers or len(self._layers) < _MOST_LAYERS):
            self._layers[pulled.layer] = (max(pulled.came, 0), max(pulled.size, 0))
        self.total = pulled.total or sum(size for _, size in self._layers.values())
        if self.total > 0:
            self._percent = max(self._percent, min(self.came * 100 // self.total, 99))
        if pulled.done:
            self._percent = 100
        return self._percent


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, JSON]]:
    """JSON objects, one per line; what is no object says nothing. EngineBroke for a line without end."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise EngineBroke("a line of a pull without end")
        for line in whole:
            yield _parse(line)
    if rest.strip():
        yield _parse(rest)


def _parse(line: bytes) -> dict[str, JSON]:
    try:
        return as_object(orjson.loads(line))
    except orjson.JSONDecodeError:
        return {}


def _reason(body: bytes) -> str:
    """What an error answer says: Ollama's `error`, Model Runner's plain text."""
    said = _parse(body).get("error")
    return said if isinstance(said, str) else body.decode("utf-8", "replace").strip()
