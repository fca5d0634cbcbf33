"""What is kept of responses, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DAY: Final = 86_400.0
_LONGEST: Final = 3_650 * _DAY
_MIB: Final = 1 << 20
_MOST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSettings:
    """`store` false: nothing is kept, as if every caller had said `store: false`.

    A conversation is kept for `keep` seconds after its last response; `per_owner` responses of `owner_bytes` for each
    owner and `total_bytes` for all, then the oldest conversation goes. One that holds more than `conversation_bytes`
    cannot be gone on with.
    """

    store: bool = True
    keep: float = _DAY
    per_owner: int = 1_000
    owner_bytes: int = 64 * _MIB
    total_bytes: int = 512 * _MIB
    conversation_bytes: int = 16 * _MIB

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= _LONGEST:
            raise ValueError("keep must be from 1s to 3650d; `store: false` keeps nothing")
        if not 1 <= self.per_owner <= _MOST:
            raise ValueError(f"per_owner must be from 1 to {_MOST:,}")
        if not 0 < self.conversation_bytes <= self.owner_bytes <= self.total_bytes:
            raise ValueError("conversation_bytes, owner_bytes and total_bytes must be above 0, each at most the next")
