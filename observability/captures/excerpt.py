"""A bounded copy of a document. Made at once, in the event loop, so no more than the bound is touched; redacted later.

Text that is cut is cut a little further on than what will be kept: secrets are sought in all of it, and then the rest
goes, so that no half of one is left at the end where its pattern no longer fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from policies.json import JSON

MARGIN: Final = 1024
"""Characters behind a cut that are searched and not kept."""
_NODE: Final = 4
"""Bytes that a value is taken for beside its text."""
_DEEPEST: Final = 64
CUT: Final = "…[cut]"


@dataclass(frozen=True, slots=True)
class Passage:
    """The beginning of a text: `room` bytes of it are to be kept. `whole`: nothing of it is missing."""

    text: str
    room: int
    whole: bool


Copy: TypeAlias = "dict[str, Copy] | list[Copy] | Passage | int | float | bool | None"


class Room:
    """Bytes that are left. `cut`: something did not fit."""

    __slots__ = ("cut", "left")

    def __init__(self, size: int) -> None:
        self.left = size
        self.cut = False

    def take(self, size: int) -> bool:
        """Whether there is still room; a thing is taken as long as there is any."""
        if self.left <= 0:
            self.cut = True
            return False
        self.left -= size
        return True


def excerpt(value: JSON, room: Room, *, whole: bool = True, depth: int = 0) -> Copy:
    """A copy of `value` that no longer depends on it, as far as there is room. `whole`: its texts are complete."""
    if depth > _DEEPEST or not room.take(_NODE):
        room.cut = True
        return None
    match value:
        case str():
            return _passage(value, room, whole=whole)
        case list():
            items: list[Copy] = []
            for item in value:
                if room.left <= 0:
                    room.cut = True
                    break
                items.append(excerpt(item, room, whole=whole, depth=depth + 1))
            return items
        case dict():
            copy: dict[str, Copy] = {}
            for key, inner in value.items():
                if not room.take(len(key)) or len(key) > MARGIN:
                    room.cut = True
                    break
                copy[key] = excerpt(inner, room, whole=whole, depth=depth + 1)
            return copy
        case _:
            return value


def _passage(text: str, room: Room, *, whole: bool) -> Passage:
    left = max(room.left, 0)
    head = text[: left + MARGIN]
    size = len(head) if head.isascii() else len(head.encode(errors="replace"))
    if size > left:
        room.cut = True
    room.left -= size
    return Passage(head, left, whole and len(head) == len(text))


def redacted(copy: Copy, redact: Callable[[str], str]) -> JSON:
    """The copy with all its texts redacted and cut. Keys are texts, too."""
    match copy:
        case Passage():
            return _kept(copy, redact)
        case list():
            return [redacted(item, redact) for item in copy]
        case dict():
            return {_clean(redact(key)): redacted(inner, redact) for key, inner in copy.items()}
        case _:
            return copy


def _kept(passage: Passage, redact: Callable[[str], str]) -> str:
    text = redact(passage.text)
    if not passage.whole:
        text = text[:-MARGIN] if len(text) > MARGIN else ""
    data = _clean(text).encode()
    if passage.whole and len(data) <= passage.room:
        return data.decode()
    return data[: passage.room].decode(errors="ignore") + CUT


_CONTROL: Final = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code not in {9, 10, 13}
}


def _clean(text: str) -> str:
    """Without what JSON writes in six bytes for one (else a prompt of NULs would be too long for a line, and so not be
    captured), and without half surrogate pairs, which it cannot write."""
    return text.translate(_CONTROL).encode(errors="replace").decode()
