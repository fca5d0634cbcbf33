"""Ids. A response has that of its request; an item's id holds its response's, so that a reference to it can be followed
without an index. They are no secrets: whoever asks must own what they name. Pure."""

from __future__ import annotations

import re
from typing import Final

from policies.json import JSON, as_object, as_str

_RESPONSE: Final = re.compile(r"resp_[0-9a-f]{32}", re.ASCII)
_ITEM: Final = re.compile(r"[a-z]{2,4}_([0-9a-f]{32})_i?[0-9]{1,5}", re.ASCII)
_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco"}


def response_id(request_id: str) -> str:
    """`request_id` is 32 hexadecimal digits."""
    return f"resp_{request_id}"


def is_response_id(text: str) -> bool:
    """Whether a response of this gateway can be called that."""
    return _RESPONSE.fullmatch(text) is not None


def item_id(kind: str, request_id: str, index: int, *, given: bool = False) -> str:
    """The id of an item of the answer, or of the input if it was `given`."""
    return f"{_PREFIXES[kind]}_{request_id}_{'i' if given else ''}{index}"


def response_of(item: JSON) -> str:
    """The id of the response that the item with this reference belongs to; "" if it can be none's."""
    match = _ITEM.fullmatch(as_str(as_object(item).get("id")))
    return "" if match is None else response_id(match[1])
