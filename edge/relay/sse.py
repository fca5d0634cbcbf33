"""Server-sent events from an engine: bytes in, event payloads out. Pure, incremental, linear.

The grammar is WHATWG HTML section 9.2.6 with what engines were seen to do (facts/engines.md section 0, rule 4): CRLF,
LF or CR line ends, comment lines for keep-alive, `data:` with or without the space, old llama-server's `error:` field.
Only payloads leave this module: the caller's framing is always made anew, so nothing an engine writes between events
(`event:`, `id:`, `retry:`) can reach a caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from policies.errors import EngineBroke

MAX_EVENT: Final = 8 * 1024 * 1024
"""Bytes one event may hold: a whole tool call, or 20 logprobs a token, fit a thousand times."""


class Event(NamedTuple):
    """One dispatched event. `data` is the payload; `failed` marks an `error:` field of old llama-server builds."""

    data: bytes
    failed: bool = False


class SseDecoder:
    """Feed blocks as they come; get the events they complete. A final event without a blank line is dropped (spec)."""

    __slots__ = ("_data", "_failed", "_held", "_pending", "_size")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._data: list[bytes] = []
        self._failed = False
        self._held = False
        self._size = 0

    def feed(self, block: bytes) -> Iterator[Event]:
        """The events completed by `block`. Raises EngineBroke when one event grows past MAX_EVENT bytes."""
        if self._is_one(block):
            yield Event(block[6:-2])
            return
        if self._pending or b"\r" in block:
            self._pending += block
            if b"\r" in block or self._held:
                self._normalise()
            elif b"\n" not in block:
                self._check(len(self._pending))
                return
            block = bytes(self._pending)
        *lines, rest = block.split(b"\n")
        self._pending = bytearray(rest)
        for line in lines:
            if line:
                self._check(len(line))  # here as well as of what is not whole yet: blocks make no difference
                self._line(line)
            elif self._data:
                event = Event(b"\n".join(self._data), self._failed)
                self._data, self._failed, self._size = [], False, 0
                yield event
        self._check(len(rest))

    def _is_one(self, block: bytes) -> bool:
        """Whether `block` is one event of one line, as engines write nearly all, and nothing else is under way."""
        return (
            block.startswith(b"data: ")
            and block.find(b"\n") == len(block) - 2
            and block.endswith(b"\n\n")
            and not self._pending
            and not self._data
            and b"\r" not in block
            and len(block) <= MAX_EVENT
        )

    def _normalise(self) -> None:
        # A CR at the very end may be half of a CRLF: it stays pending until the next byte tells.
        self._held = self._pending.endswith(b"\r")
        text = bytes(self._pending[:-1] if self._held else self._pending)
        self._pending = bytearray(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        if self._held:
            self._pending += b"\r"

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"error:"):
            self._failed = True
            self._append(line[6:].lstrip())

    def _append(self, value: bytes) -> None:
        self._size += len(value) + 1  # its newline: an endless row of empty `data:` lines grows too
        self._check(0)
        self._data.append(value)

    def _check(self, pending: int) -> None:
        if self._size + pending > MAX_EVENT:
            raise EngineBroke("event too large")
