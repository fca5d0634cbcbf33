"""What is kept of a request, and how kept items are listed. Pure.

Source: openai-python 3.52, `types/responses/response_item.py`, `response_item_list.py`, `input_item_list_params.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from edge.dialects.responses.items import COMPLETED
from edge.dialects.responses.names import item_id, response_of
from edge.dialects.responses.request import items_of
from edge.intake.fields import fail
from edge.intake.responses_params import MESSAGE, REFERENCE
from policies.errors import Refusal
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.reasons import Reason

_MOST_PARAMETERS: Final = 32
_MOST_ITEMS: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Earlier responses that a request needs: the one it goes on from ("" if none), and those whose items it names."""

    previous: str
    references: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.previous or self.references)


def wanted_of(asked: Object) -> Wanted:
    """Of a checked request. Refusal for a reference that no item here can have, and for one that stands there twice:
    seventy bytes each would bring a long text as often as they are written."""
    named = [item for item in items_of(asked.get("input")) if item.get("type") == REFERENCE]
    references = frozenset(map(response_of, named))
    if "" in references:
        raise Refusal(Reason.PREVIOUS_RESPONSE_NOT_FOUND, param="input[].id")
    if len({as_str(item["id"]) for item in named}) < len(named):
        fail((None, "input[].id"), "An item can be referred to once.")
    return Wanted(as_str(asked.get("previous_response_id")), references)


def resolved(asked: Object, named: Sequence[Object]) -> Object:
    """`asked` with its references followed to items among `named`. Refusal for one that leads nowhere."""
    by_id = {as_str(item.get("id")): item for item in named}
    items: list[JSON] = []
    for item in items_of(asked.get("input")):
        reference = item.get("type") == REFERENCE
        found = by_id.get(as_str(item["id"])) if reference else item
        if found is None:
            raise Refusal(Reason.PREVIOUS_RESPONSE_NOT_FOUND, param="input[].id")
        items.append(found)
    return {**asked, "input": items}


def kept_items(asked: Object, request_id: str) -> list[JSON]:
    """The request's own items, references resolved, as they are listed: with ids and all that SDKs' types want."""
    kept: list[JSON] = []
    for index, item in enumerate(items_of(asked.get("input"))):
        kind = as_str(item.get("type", MESSAGE))
        identity = item_id(kind, request_id, index, given=True)
        kept.append({**_listed(item), "id": identity, "type": kind, "status": COMPLETED})
    return kept


def _listed(item: Object) -> Object:
    if item.get("type", MESSAGE) != MESSAGE:
        more: Object = {"summary": []} if item["type"] == "reasoning" else {}
        return {**more, **item}
    said = "output_text" if item["role"] == "assistant" else "input_text"
    content = item["content"]
    parts: list[JSON] = [{"type": said, "text": content}] if isinstance(content, str) else as_list(content)
    return {"role": item["role"], "content": [_part(as_object(part)) for part in parts]}


def _part(part: Object) -> JSON:
    match part["type"]:
        case "output_text":
            return {"annotations": [], **part}
        case "input_image":
            return {"detail": "auto", **part}
        case _:
            return part


def page(items: Sequence[JSON], query: str) -> Object:
    """`GET /v1/responses/{id}/input_items`: newest first, 20 of them, unless `query` says otherwise. Refusal."""
    asked = parameters(query)
    ordered = list(items) if _order(asked.get("order", "desc")) == "asc" else list(reversed(items))
    ids = [as_str(as_object(item).get("id")) for item in ordered]
    start = 0
    if "after" in asked:
        if asked["after"] not in ids:
            fail((None, "after"), "It must be the id of an item of the list.")
        start = ids.index(asked["after"]) + 1
    end = start + _limit(asked.get("limit", "20"))
    shown: list[JSON] = ordered[start:end]
    first, last = (ids[start], ids[start + len(shown) - 1]) if shown else ("", "")
    return {"object": "list", "data": shown, "first_id": first, "last_id": last, "has_more": end < len(ordered)}


def parameters(query: str) -> dict[str, str]:
    """The query's parameters, the last of each name. Refusal."""
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict"))
    except ValueError:  # also what is no UTF-8
        raise Refusal(Reason.INVALID_PARAMETER) from None


def _order(text: str) -> str:
    if text not in {"asc", "desc"}:
        fail((None, "order"), "It must be asc or desc.")
    return text


def _limit(text: str) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else 0
    if not 1 <= number <= _MOST_ITEMS:
        fail((None, "limit"), f"It must be an integer from 1 to {_MOST_ITEMS}.")
    return number
