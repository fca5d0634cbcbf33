"""Which way a call goes: to the engine's own route of the caller's dialect, or translated. Pure but for the clock.

Native only where nothing is lost by it: what the engine is asked is made of what policy, limits and queue decided on
(`engines/contract.py`, Tongue), or it is not asked so. Whatever needs to see an answer in the internal form (a capture,
a whole answer under a limit, which is streamed and put together) has it translated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from edge.dialects.contract import Rendering
from edge.dialects.ollama.answer import OllamaRendering
from edge.relay.native.anthropic import AnthropicReading
from edge.relay.native.contract import Reading
from edge.relay.native.ollama import OllamaReading
from engines.adapters.registry import adapter_for
from engines.contract import Engine, Speech, Target
from policies.call import Aim, Call, Dialect, Form, Operation
from policies.exchange import Usage
from policies.json import as_list, as_str

CLOSED: Final = 60.0
"""Seconds after which a route that an engine did not have is tried again: it may have been updated."""


class Way(StrEnum):
    """How a dialect is served."""

    NATIVE = "native"
    TRANSLATED = "translated"
    MIXED = "mixed"  # by several engines, of which some are asked in it


_CHATS: Final[Mapping[Dialect, Speech]] = MappingProxyType(
    {
        dialect: (dialect, Operation.CHAT, Form.ONLY)
        for dialect in (Dialect.OPENAI, Dialect.RESPONSES, Dialect.ANTHROPIC, Dialect.OLLAMA)
    }
)


def way_of(engine: Engine, speech: Speech) -> Way:
    """The way of what can go either way."""
    if speech[0] is Dialect.OPENAI or adapter_for(engine.kind).tongue(engine, speech) is not None:
        return Way.NATIVE
    return Way.TRANSLATED


@dataclass(frozen=True, slots=True)
class Needs:
    """What the answer of one request is under: whether it is `limited`, or `taped`."""

    limited: bool
    taped: bool


class Ways:
    """Knows besides which engines turned out not to have a route, as old releases do. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._closed: dict[tuple[str, Speech], float] = {}

    def of(self, engine: Engine, speech: Speech) -> Way:
        """`way_of`, as far as is known by now."""
        until = self._closed.get((engine.name, speech), 0.0) if self._closed else 0.0
        return Way.TRANSLATED if until and self._clock() < until else way_of(engine, speech)

    def close(self, target: Target, call: Call) -> None:
        """The engine has no such route."""
        self._closed[target.engine.name, _speech(call)] = self._clock() + CLOSED

    def may_be_native(self, call: Call, target: Target, needs: Needs) -> bool:
        """Whether the engine may be asked in the call's own dialect, if that can say what is asked (`build_native`)."""
        if call.dialect is Dialect.OPENAI or self.of(target.engine, _speech(call)) is not Way.NATIVE:
            return False
        return not (needs.taped or call.counts or call.aim is not Aim.ANSWER or (needs.limited and not call.stream))

    def dialects(self, targets: tuple[Target, ...]) -> dict[str, str]:
        """How each dialect is served for the model that `targets` offer."""
        found: dict[str, str] = {}
        for dialect, speech in _CHATS.items():
            ways = {self.of(target.engine, speech) for target in targets}
            found[dialect.value] = (ways.pop() if len(ways) == 1 else Way.MIXED).value
        return found


def reading_of(call: Call, request_id: str, rendering: Rendering, usage: Usage, prompt: int) -> Reading:
    """A new one for one native answer; `prompt`: the input's tokens as far as they are known."""
    if isinstance(rendering, OllamaRendering):
        return OllamaReading(call, rendering, usage, prompt)
    stops = [as_str(each) for each in as_list(call.body.get("stop"))]
    return AnthropicReading(call.model, request_id, usage, prompt, stops)


def _speech(call: Call) -> Speech:
    return call.dialect, call.operation, call.form
