"""Traffic in which something of everything happens: callers great and small, two models, refusals, failures, leavers.

For what looks at the sum of it: boards, rules, their pictures. One `round` takes about a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Final

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, chat, start_stream, streamed
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PRIVATE_MODEL, Reset, Stream, always, talker
from tests.system.wire import Wire, compose, loads

OTHER: Final = PRIVATE_MODEL.lower()
ALIAS: Final = "gpt-4o-mini"
AWAY: Final = "away"
FORBIDDEN: Final = "forbidden"
_AT_THE_DOOR: Final = 4
_PEOPLE: Final = ("ann", "bob", "poor", "guest")


def settings(engine_url: str, wait: str = "700ms") -> Object:
    """What differs from `process.configuration`; `wait` is how long a caller waits in line at most.

    Two engines of which one is away, a second listener with a narrow door, a policy with classes, limits that refuse
    and one that is on trial, waits that run out.
    """
    there: Object = {
        "name": "studio",
        "kind": "openai",
        "url": engine_url,
        "concurrency": 2,
        "loaded_models": 1,
    }
    away: Object = {"name": "attic", "kind": "vllm", "url": "http://127.0.0.1:9", "model": AWAY}
    narrow: Object = {"name": "lan", "bind": "127.0.0.1:0", "limits": {"connections_per_source": _AT_THE_DOOR}}
    grants: list[JSON] = [
        {"id": "day", "users": list(_PEOPLE), "models": [ASKED, OTHER, ALIAS, AWAY], "rate_class": "people"},
        {"id": "night", "users": ["night"], "models": ["*"], "rate_class": "batch"},
    ]
    rules: list[JSON] = [
        {"name": "poor", "per": "owner", "owners": ["poor"], "rpm": 3},
        {"name": "trial", "per": "owner", "owners": ["ann"], "rpm": 2, "shadow": True},
    ]
    return {
        "listeners": [{"name": "local", "bind": "127.0.0.1:0"}, narrow],
        "engines": {"discover": False, "list": [there, away]},
        "models": {"aliases": {ALIAS: ASKED}},
        "policy": {"engine": "embedded", "grants": grants},
        "limits": {"classes": {"people": {"concurrency": 8}, "batch": {"concurrency": 4}}, "rules": rules},
        "queue": {"limit": 6, "wait": wait, "passed_over": "200ms"},
    }


class MixedLoad:
    """Callers of one gateway with `settings`."""

    def __init__(self, gateway: Gateway, engine: RecordingEngine) -> None:
        self._gateway = gateway
        self._keys = {name: gateway.create_key(name) for name in (*_PEOPLE[:3], "night")}
        self._door = _address(gateway, "lan")
        self._keys["guest"] = gateway.create_key("guest", "--model", "other*")
        for marker, tokens in (("short", 5), ("middle", 40), ("long", 120)):
            engine.when(marker, talker(tokens, gap=0.003))
        engine.when("breaks", always(*Stream().until(2, Reset())))
        engine.when("fails", always(Reset()))

    def round(self) -> None:
        """Something of everything, and wait for its end."""
        crowd: list[Callable[[], None]] = [
            *[self._streams("bob", "long")] * 3,
            *[self._streams("ann", "short"), self._streams("ann", "middle", model=ALIAS)],
            *[self._streams("night", "middle", model=OTHER)] * 2,
            *[self._asks("ann", "short")] * 4,
        ]
        _together(crowd)
        # One after the other: in a crowd they might meet a full line first, and never get to what they are for.
        self._leaves("bob", "long")
        for turn in (
            *[self._asks("poor", "short")] * 4,
            *[self._streams("bob", "breaks"), self._asks("ann", "short"), self._asks("ann", "fails")],
            *[self._embeds, self._refused, self._strangers, self._crowd],
        ):
            turn()

    def calm(self, callers: int) -> None:
        """Nothing goes wrong: so many callers, and an answer for each."""
        kinds = [("ann", "middle", ALIAS), ("night", "middle", OTHER), ("bob", "long", ASKED), ("ann", "short", ASKED)]
        turns = [self._streams(name, text, model=model) for name, text, model in (kinds * callers)[:callers]]
        _together(turns)

    def _asks(self, name: str, text: str, **extra: JSON) -> Callable[[], None]:
        return lambda: self._send(chat(text, **extra), self._keys[name])

    def _streams(self, name: str, text: str, **extra: JSON) -> Callable[[], None]:
        return lambda: self._send(streamed(text, **extra), self._keys[name])

    def _send(self, document: Object, *keys: Key, path: str = CHAT) -> None:
        with self._gateway.open() as wire:
            wire.send(compose("POST", path, *(key.bearer for key in keys), "Connection: close", body=document))
            _ = wire.until_eof()

    def _leaves(self, name: str, text: str) -> None:
        with start_stream(self._gateway, self._keys[name], text) as wire:
            _ = next(wire.events(wire.head()))
            wire.reset()

    def _embeds(self) -> None:
        self._send({"model": ASKED, "input": ["short"]}, self._keys["ann"], path="/v1/embeddings")
        self._send({"model": ASKED, "prompt": "short"}, self._keys["ann"], path="/v1/completions")

    def _refused(self) -> None:
        self._send({**chat(), "model": AWAY}, self._keys["ann"])
        self._send({**chat(), "model": FORBIDDEN}, self._keys["ann"])
        self._send(chat(), self._keys["guest"])
        self._send(chat(), Key("none", "lgw_none_none"))
        self._send(chat())
        _ = self._gateway.get("/v1/none", self._keys["ann"].bearer)

    def _strangers(self) -> None:
        with self._gateway.open() as wire:
            wire.send(compose("GET", "/v1/models", "Connection: close", host="evil.example"))
            _ = wire.until_eof()
        with self._gateway.open() as wire:
            wire.send(b"NONSENSE\r\n\r\n")
            _ = wire.until_eof()

    def _crowd(self) -> None:
        with ExitStack() as stack:
            for _ in range(_AT_THE_DOOR + 2):
                with suppress(OSError):
                    stack.enter_context(Wire.open(self._door))


def _together(turns: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(turns)) as pool:
        for turn in [pool.submit(turn) for turn in turns]:
            turn.result()


def _address(gateway: Gateway, listener: str) -> tuple[str, int]:
    line = gateway.out.find(lambda text: '"listening"' in text)
    assert line is not None
    found = next(each for each in map(as_object, as_list(loads(line)["listeners"])) if each["name"] == listener)
    port = found["port"]
    assert isinstance(port, int)
    return as_str(found["host"]), port
