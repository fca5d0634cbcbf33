"""The workloads, played one thing after the other: a reading of the counter before, one after, and the gateway idle at
both, so that every sample is all that one request, or one piece of an answer, made the gateway do."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

from policies.json import JSON, Object
from tests.budget.engine import MODEL, Engine
from tests.budget.remote import Counting, Functions, Sample, between
from tests.system.process import Key
from tests.system.wire import Wire, compose

FORBIDDEN: Final = "forbidden"
"""A model that no grant permits."""
_WARM_UP: Final = 4
"""Rounds before the first sample: caches are full then, and what is imported late is there."""
_DEADLINE: Final = 60.0
_PIECE: Final = " word"
_MESSAGES: Final[list[JSON]] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Say hello, and nothing else, please."},
]
_CHAT: Final[Object] = {"model": MODEL, "messages": _MESSAGES, "temperature": 0.7, "max_tokens": 100}
_MESSAGE: Final[Object] = {"model": MODEL, "messages": _MESSAGES[1:], "max_tokens": 100}


@dataclass(frozen=True, slots=True)
class Stage:
    """What a play is played with. `key` has limits of tokens, `unlimited` has none."""

    counting: Counting
    engine: Engine
    key: Key
    unlimited: Key
    open: Callable[[], Wire]


def whole_chat(stage: Stage) -> Generator[Functions]:
    """A small chat, answered whole, on a connection that is kept. As tokens are limited, the gateway asks the engine
    for a stream, so that it could stop it, and puts the answer together; the engine sends all of it at once."""

    def play() -> None:
        stage.engine.stream().say(_PIECE, last=True)

    return _asked(stage, _request("/v1/chat/completions", stage.key, _CHAT), 200, play)


def unlimited_chat(stage: Stage) -> Generator[Functions]:
    """The same with a key whose tokens nobody counts: the engine is asked for a whole answer."""
    return _asked(stage, _request("/v1/chat/completions", stage.unlimited, _CHAT), 200)


def denied_request(stage: Stage) -> Generator[Functions]:
    """The same for a model that the policy does not permit."""
    return _asked(stage, _request("/v1/chat/completions", stage.key, {**_CHAT, "model": FORBIDDEN}), 403)


def streamed_chunk(stage: Stage) -> Generator[Functions]:
    """One piece of a stream in the engine's own dialect."""
    return _streamed(stage, _request("/v1/chat/completions", stage.key, {**_CHAT, "stream": True}))


def leave(stage: Stage) -> None:
    """A stream whose caller goes after the first piece."""
    with stage.open() as wire:
        wire.send(_request("/v1/chat/completions", stage.key, {**_CHAT, "stream": True}))
        stage.engine.stream().say(_PIECE)
        next(wire.blocks(wire.accepted(), _DEADLINE))


def anew(stage: Stage) -> None:
    """A whole chat on a connection of its own."""
    with stage.open() as wire:
        wire.send(_request("/v1/chat/completions", stage.unlimited, _CHAT))
        assert wire.answer().status == 200


def unread(stage: Stage) -> None:
    """A request without a key, whose body nobody reads."""
    with stage.open() as wire:
        wire.send(compose("POST", "/v1/chat/completions", body={**_CHAT, "padding": "x" * 100_000}))
        assert wire.answer().status == 401


def cut_off(stage: Stage) -> None:
    """A chat whose engine goes away after the first piece."""
    with stage.open() as wire:
        wire.send(_request("/v1/chat/completions", stage.key, _CHAT))
        stage.engine.stream().say(_PIECE, cut=True)
        assert wire.answer().status == 502


def unanswered(stage: Stage) -> None:
    """A chat whose engine goes away without a word."""
    with stage.open() as wire:
        stage.engine.silent = True
        wire.send(_request("/v1/chat/completions", stage.key, _CHAT))
        try:
            assert wire.answer().status == 502
        finally:
            stage.engine.silent = False


def translated_chunk(stage: Stage) -> Generator[Functions]:
    """One piece of a stream to a caller that speaks Anthropic's dialect."""
    return _streamed(stage, _request("/v1/messages", stage.key, {**_MESSAGE, "stream": True}))


PLAYS: Final[dict[str, Callable[[Stage], Generator[Functions]]]] = {
    "whole chat": whole_chat,
    "unlimited chat": unlimited_chat,
    "streamed chunk": streamed_chunk,
    "translated chunk": translated_chunk,
    "denied request": denied_request,
}
"""Each gives readings for as long as it is asked, and plays once between two of them."""


def samples(stage: Stage, workload: str, number: int) -> list[Sample]:
    """What each of `number` times cost."""
    with closing(PLAYS[workload](stage)) as readings:
        return [between(*pair) for pair in pairwise(islice(readings, _WARM_UP, _WARM_UP + number + 1))]


def _request(path: str, key: Key, body: Object) -> bytes:
    return compose("POST", path, key.bearer, body=body)


def _asked(
    stage: Stage, request: bytes, status: int, answering: Callable[[], None] = lambda: None
) -> Generator[Functions]:
    with stage.open() as wire:
        while True:
            yield stage.counting.settle()
            wire.send(request)
            answering()
            answer = wire.answer()
            assert answer.status == status, answer.raw


def _streamed(stage: Stage, request: bytes) -> Generator[Functions]:
    with stage.open() as wire:
        wire.send(request)
        stream = stage.engine.stream()
        try:
            stream.say(_PIECE)
            blocks = wire.blocks(wire.accepted(), _DEADLINE)
            while True:
                while _PIECE.encode() not in next(blocks):
                    pass
                yield stage.counting.settle()
                stream.say(_PIECE)
        finally:
            stream.say(_PIECE, last=True)
