"""An engine behind a gateway of its own, as tests see it: what to ask for each scenario, and what the engine saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from engines.adapters.registry import adapter_for
from engines.contract import Kind
from policies.reasons import Reason
from tests.compatibility.grid import Outcome, Surface
from tests.compatibility.own_routes import CITY, SECRET, TEXT, THOUGHT
from tests.compatibility.scripted import MANNERS
from tests.compatibility.surfaces import Ask
from tests.compatibility.tap import Tap
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.wire import DEADLINE


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that an engine refuses: the request, and what callers are told."""

    ask: Ask
    because: Reason


class Behind(Protocol):
    """The engine's side of a stage. Each method but the last four readies it for the next request."""

    kind: Kind
    outcome: Outcome
    text: str
    """What its answers to `Hello` hold."""
    thought: str
    city: str
    """In the arguments of its calls; "" if any will do."""
    secret: str

    def answers(self) -> None: ...
    def calls_tool(self, surface: Surface) -> Ask | None:
        """The question to which it calls the tool; None if on this surface it cannot be brought to."""
        ...

    def refuses(self, surface: Surface) -> Fault | None:
        """None if nothing is known that it would refuse."""
        ...

    def holds(self) -> None:
        """It begins a stream and stops."""
        ...

    def breaks(self) -> None:
        """It begins a stream and stops, until `break_now`."""
        ...

    def break_now(self) -> None: ...
    def path(self) -> str:
        """Where it was asked last."""
        ...

    def left(self, within: float = DEADLINE) -> float:
        """The instant at which the gateway left what `holds`."""
        ...

    def rest(self) -> None:
        """After each test."""
        ...


@dataclass(slots=True)
class Stage:
    """One kind of engine, and the gateway in front of it."""

    behind: Behind
    gateway: Gateway
    key: Key
    model: str

    @property
    def kind(self) -> Kind:
        return self.behind.kind

    @property
    def embeds(self) -> bool:
        """Whether this kind has embeddings at all."""
        return any("embeddings" in path for path in adapter_for(self.kind).paths.values())


@dataclass(slots=True)
class Scripted:
    """A kind that plays what was read of it."""

    kind: Kind
    engine: RecordingEngine
    outcome: Outcome = Outcome.RECORDED
    text: str = TEXT
    thought: str = THOUGHT
    city: str = CITY
    secret: str = SECRET

    def answers(self) -> None:
        self.engine.play(MANNERS[self.kind].answers)

    def calls_tool(self, surface: Surface) -> Ask | None:
        self.engine.play(MANNERS[self.kind].calls_tool)
        return Ask(tool=True)

    def refuses(self, surface: Surface) -> Fault:
        manner = MANNERS[self.kind]
        self.engine.play(manner.refuses)
        return Fault(Ask(), manner.because)

    def holds(self) -> None:
        self.engine.play(MANNERS[self.kind].holds)

    def breaks(self) -> None:
        self.engine.play(MANNERS[self.kind].goes_wrong)

    def break_now(self) -> None:
        self.engine.release()

    def path(self) -> str:
        return self.engine.requests[-1].path

    def left(self, within: float = DEADLINE) -> float:
        return self.engine.gone(self.engine.requests[-1], within)

    def rest(self) -> None:
        listing = self.engine.listing
        self.engine.forget()
        self.engine.listing = listing


@dataclass(slots=True)
class Real:
    """The program itself behind a tap. `faults` are what it refuses, by surface; `unforced`: it calls tools of its own
    accord."""

    kind: Kind
    tap: Tap
    faults: Mapping[Surface, Fault]
    unforced: bool
    question: str
    outcome: Outcome = Outcome.REAL
    text: str = "llm-gateway"
    thought: str = ""
    city: str = ""
    secret: str = "tiny.gguf"

    def answers(self) -> None:
        """It does."""

    def calls_tool(self, surface: Surface) -> Ask | None:
        if self.unforced:
            return Ask(self.question, tool=True)
        return None if surface is Surface.OLLAMA else Ask(self.question, tool=True, forced=True)

    def refuses(self, surface: Surface) -> Fault | None:
        return self.faults.get(surface)

    def holds(self) -> None:
        self.tap.hold()

    def breaks(self) -> None:
        self.tap.hold()

    def break_now(self) -> None:
        self.tap.cut()

    def path(self) -> str:
        return self.tap.paths()[-1]

    def left(self, within: float = DEADLINE) -> float:
        return self.tap.left(within)

    def rest(self) -> None:
        self.tap.forget()
