"""JSON Schema (2020-12) of the configuration file, generated from the settings: for editors and `config schema`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

from edge.config.leaves import Leaf
from edge.config.settings import Settings
from edge.config.shapes import Either, Field, Listing, Maybe, Record, Shape, Table, shape_of
from edge.config.show import shown
from policies.json import JSON, Object


def schema() -> Object:
    """The schema of the whole file, as a JSON document. Stricter checks than types and ranges are the program's."""
    head: Object = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "llm-gateway configuration"}
    return head | _shape(shape_of(Settings))


def _shape(shape: Shape) -> Object:
    match shape:
        case Leaf():
            return dict(shape.schema)
        case Maybe():
            return {"anyOf": [_shape(shape.inner), {"type": "null"}]}
        case Listing():
            return {"type": "array", "items": _shape(shape.item)}
        case Table():
            return {"type": "object", "additionalProperties": _shape(shape.value)}
        case Either():
            return {"anyOf": [dict(shape.word.schema), _record(shape.table)]}
        case Record():
            return _record(shape)


def _record(record: Record) -> Object:
    notes = _notes(record.make)
    properties: Object = {field.name: _field(field, field.help or notes.get(field.name, "")) for field in record.fields}
    for field in record.fields:
        if isinstance(field.shape, Maybe) and isinstance(field.shape.inner, Leaf) and field.shape.inner.secret:
            about = f"A file that holds `{field.name}`; relative paths start at the folder of the configuration file."
            properties[f"{field.name}_file"] = {"type": "string", "minLength": 1, "description": about}
    needed: list[JSON] = [field.name for field in record.fields if field.default is None]
    document: Object = {"type": "object", "properties": properties, "additionalProperties": False}
    if record.help:
        document["description"] = record.help
    if needed:
        document["required"] = needed
    return document


def _field(field: Field, about: str) -> Object:
    title: Object = {"title": field.name.replace("_", " ")}
    document = title | _shape(field.shape)
    if about:
        document["description"] = about
    if field.default is not None:
        document["default"] = shown(field.shape, field.default())
    return document


def _notes(cls: object) -> dict[str, str]:
    """The strings under the fields of a dataclass that was not made for the configuration: its own documentation."""
    if not isinstance(cls, type):
        return {}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError):  # installed without sources
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    notes: dict[str, str] = {}
    for statement, after in pairwise(body):
        match statement, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(note))),
            ):
                notes[name] = " ".join(note.split())
            case _:
                pass
    return notes
