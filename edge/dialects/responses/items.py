"""The items of a response while they are written: each opens, grows and closes, and says so in events. Pure.

Source: openai-python 3.52, `types/responses/response_output_item.py` and the events' own modules; facts/engines.md 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from edge.dialects.writing import event
from policies.json import JSON, Object, as_list, as_object

IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"


class Events:
    """Numbers events and writes them; `mute`: neither, for who wants only what they come to."""

    def __init__(self, first: int = 0, *, mute: bool = False) -> None:
        self._next = first
        self._mute = mute
        self._blocks: list[bytes] = []

    @property
    def number(self) -> int:
        """Of the next event."""
        return self._next

    def add(self, kind: str, /, **fields: JSON) -> None:
        """One event, with `fields` besides its type and number."""
        if not self._mute:
            self._blocks.append(event(kind, {"type": kind, "sequence_number": self._next, **fields}))
            self._next += 1

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._blocks)
        self._blocks.clear()
        return taken


class Item(Protocol):
    """One item that is being written."""

    kind: str

    def begin(self, events: Events) -> None: ...

    def end(self, events: Events, status: str) -> Object:
        """The whole item."""
        ...


@dataclass(slots=True)
class Thought:
    """Reasoning: as itself, or as its own `summary` for who asked for one; nobody here writes another."""

    id: str
    index: int
    summary: bool
    kind: str = "reasoning"
    said: list[str] = field(default_factory=list)

    def begin(self, events: Events) -> None:
        events.add("response.output_item.added", output_index=self.index, item=self._item([], IN_PROGRESS))
        events.add(f"response.{self._part}.added", **self._where, part=self._text(""))

    def add(self, text: str, events: Events) -> None:
        self.said.append(text)
        events.add(f"response.{self._name}.delta", **self._where, delta=text)

    def end(self, events: Events, status: str) -> Object:
        text = "".join(self.said)
        part = self._text(text)
        item = self._item([part], status)
        events.add(f"response.{self._name}.done", **self._where, text=text)
        events.add(f"response.{self._part}.done", **self._where, part=part)
        events.add("response.output_item.done", output_index=self.index, item=item)
        return item

    @property
    def _name(self) -> str:
        return "reasoning_summary_text" if self.summary else "reasoning_text"

    @property
    def _part(self) -> str:
        return "reasoning_summary_part" if self.summary else "content_part"

    @property
    def _where(self) -> Object:
        return {
            "item_id": self.id,
            "output_index": self.index,
            "summary_index" if self.summary else "content_index": 0,
        }

    def _text(self, text: str) -> Object:
        return {"type": "summary_text" if self.summary else "reasoning_text", "text": text}

    def _item(self, parts: list[JSON], status: str) -> Object:
        held: Object = {"summary": parts} if self.summary else {"summary": [], "content": parts}
        return {"id": self.id, "type": "reasoning", **held, "encrypted_content": None, "status": status}


@dataclass(slots=True)
class Message:
    """Text and refusals, in parts that come one after the other."""

    id: str
    index: int
    kind: str = "message"
    parts: list[JSON] = field(default_factory=list)
    open: str = ""
    said: list[str] = field(default_factory=list)
    logprobs: list[JSON] = field(default_factory=list)

    def begin(self, events: Events) -> None:
        events.add("response.output_item.added", output_index=self.index, item=self._item(IN_PROGRESS))

    def add(self, kind: str, text: str, logprobs: list[JSON], events: Events) -> None:
        """`kind` is output_text or refusal."""
        if self.open != kind:
            self._close(events)
            self.open = kind
            events.add("response.content_part.added", **self._where, part=self._part("", []))
        self.said.append(text)
        self.logprobs += logprobs
        more: Object = {"logprobs": logprobs} if kind == "output_text" else {}
        events.add(f"response.{kind}.delta", **self._where, delta=text, **more)

    def end(self, events: Events, status: str) -> Object:
        self._close(events)
        item = self._item(status)
        events.add("response.output_item.done", output_index=self.index, item=item)
        return item

    def _close(self, events: Events) -> None:
        if not self.open:
            return
        text, logprobs = "".join(self.said), self.logprobs
        part = self._part(text, logprobs)
        said: Object = {"refusal": text} if self.open == "refusal" else {"text": text, "logprobs": logprobs}
        events.add(f"response.{self.open}.done", **self._where, **said)
        events.add("response.content_part.done", **self._where, part=part)
        self.parts.append(part)
        self.open, self.said, self.logprobs = "", [], []

    @property
    def _where(self) -> Object:
        return {"item_id": self.id, "output_index": self.index, "content_index": len(self.parts)}

    def _part(self, text: str, logprobs: list[JSON]) -> Object:
        if self.open == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def _item(self, status: str) -> Object:
        content: list[JSON] = list(self.parts)
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}


@dataclass(slots=True)
class FunctionCall:
    """The call of a function; `number` is the one that its pieces carry in the chat dialect."""

    id: str
    index: int
    number: JSON
    call_id: str
    name: str
    kind: str = "function_call"
    arguments: list[str] = field(default_factory=list)

    def begin(self, events: Events) -> None:
        events.add("response.output_item.added", output_index=self.index, item=self._item("", IN_PROGRESS))

    def add(self, piece: str, events: Events) -> None:
        self.arguments.append(piece)
        where: Object = {"item_id": self.id, "output_index": self.index}
        events.add("response.function_call_arguments.delta", **where, delta=piece)

    def end(self, events: Events, status: str) -> Object:
        if not self.arguments:  # of a function without parameters; clients parse what they get
            self.add("{}", events)
        arguments = "".join(self.arguments)
        item = self._item(arguments, status)
        where: Object = {"item_id": self.id, "output_index": self.index}
        events.add("response.function_call_arguments.done", **where, name=self.name, arguments=arguments)
        events.add("response.output_item.done", output_index=self.index, item=item)
        return item

    def _item(self, arguments: str, status: str) -> Object:
        return {
            "id": self.id,
            "type": "function_call",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": arguments,
            "status": status,
        }


def logprobs_of(choice: Object) -> list[JSON]:
    """The probabilities of a choice's text; `bytes` are always there, as the SDK's type wants."""
    entries = as_list(as_object(choice.get("logprobs")).get("content"))
    found = [(entry, _token(as_object(entry))) for entry in entries]
    return [
        token
        | {
            "top_logprobs": [
                top for each in as_list(as_object(entry).get("top_logprobs")) if (top := _token(as_object(each)))
            ]
        }
        for entry, token in found
        if token
    ]


def probabilities(tokens: list[JSON]) -> int:
    """How many there are in what `logprobs_of` found."""
    return sum(1 + len(as_list(as_object(token)["top_logprobs"])) for token in tokens)


def _token(entry: Object) -> Object:
    token, logprob, raw = entry.get("token"), entry.get("logprob"), entry.get("bytes")
    if not isinstance(token, str) or not isinstance(logprob, int | float):
        return {}
    spelt: list[JSON] = raw if isinstance(raw, list) else list(token.encode(errors="replace"))
    return {"token": token, "logprob": logprob, "bytes": spelt}
