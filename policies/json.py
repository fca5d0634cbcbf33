"""The type of a parsed JSON document, and the narrow casts that the strict parser makes sound."""

from __future__ import annotations

from typing import Final, TypeAlias

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
Object: TypeAlias = "dict[str, JSON]"
_MOST: Final = 2**53


def as_object(value: JSON) -> Object:
    """`value` if it is a JSON object, else an empty one: for reading documents that an engine sent."""
    return value if isinstance(value, dict) else {}


def as_list(value: JSON) -> list[JSON]:
    """`value` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def as_str(value: JSON) -> str:
    """`value` if it is a string, else the empty string."""
    return value if isinstance(value, str) else ""


def as_count(value: JSON) -> int | None:
    """`value` if it is an integer from 0 to 2**53 (`true` is not one), else None.

    No count of ours is larger, and sums of such counts stay far from the 64 bits that JSON writers have.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return value
    return None
