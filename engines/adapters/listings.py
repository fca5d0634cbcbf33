"""Reading what engines answer to probes and listings. An engine is not trusted: odd entries are left out."""

from __future__ import annotations

from typing import cast

import orjson

from engines.contract import Model
from policies.json import JSON, Object, as_count, as_list, as_object, as_str
from policies.names import MAX_NAME, canonical, is_name

MAX_MODELS = 4096
_LATEST = 253_402_300_799  # the end of the year 9999, where calendars end: who writes milliseconds is beyond it


def parse(body: bytes) -> JSON:
    """The JSON document in `body`, None if it is none."""
    try:
        return cast("JSON", orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def is_list(document: JSON) -> bool:
    """Whether `document` is an OpenAI list."""
    fields = as_object(document)
    return fields.get("object") == "list" and isinstance(fields.get("data"), list)


def entries(document: JSON, key: str) -> list[Object]:
    """The objects in the array `document[key]`; `null` (LM Studio and Ollama without models) is an empty one."""
    return [as_object(entry) for entry in as_list(as_object(document).get(key))[:MAX_MODELS]]


def name_of(identity: str) -> str:
    """The canonical name for an engine's own model id, "" if it can have none.

    llama-server and mlx-lm use the file's path as id when not told otherwise: the last part is its name, and the
    folders above it are nobody's business.
    """
    if is_name(identity):
        return canonical(identity)
    last = identity.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return canonical(last) if is_name(last) else ""


def model(entry: Object, *, context: JSON = None) -> Model | None:
    """One entry of an OpenAI list."""
    return named(as_str(entry.get("id")), created=as_count(entry.get("created")), context=context)


def named(identity: str, *, name: str | None = None, created: int | None = 0, context: JSON = None) -> Model | None:
    """A model by the id its engine wants; None if the id is unusable."""
    name = name_of(identity if name is None else name)
    # 4 * MAX_NAME: file paths are ids too, and may be longer than a name.
    if not name or not identity or len(identity) > 4 * MAX_NAME or not identity.isprintable():
        return None
    created = 0 if created is None or created > _LATEST else created
    return Model(name, identity, created, as_count(context) or None)
