"""Rerank and score requests in one form each, whatever spelling they came in. Pure."""

from __future__ import annotations

from policies.call import Operation
from policies.json import JSON, Object, as_list, as_object


def plain(operation: Operation, request: Object) -> Object:
    """A checked `request` in the internal form: documents are strings; a score's sides are `text_1` and `text_2`, the
    first a string unless there are several, the second always a list. Other operations' requests as they are."""
    match operation:
        case Operation.RERANK:
            documents: list[JSON] = [_text(document) for document in as_list(request["documents"])]
            return {**request, "documents": documents}
        case Operation.SCORE:
            named = ("text_1", "text_2") if "text_1" in request else ("queries", "documents")
            rest: Object = {name: value for name, value in request.items() if name not in named}
            one, many = (request[name] for name in named)
            first = one[0] if isinstance(one, list) and len(one) == 1 else one
            return {**rest, "text_1": first, "text_2": many if isinstance(many, list) else [many]}
        case _:
            return request


def _text(document: JSON) -> JSON:
    return as_object(document)["text"] if isinstance(document, dict) else document
