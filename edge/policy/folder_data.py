"""`data.json` and `data.yaml` -> `data.gwcfg`, read as strictly as the gateway reads everything else."""

from __future__ import annotations

import json
import math

from edge.config.nodes import Mapping, Node, Sequence, plain
from edge.config.problems import ConfigError
from edge.intake.strict_json import parse as parse_json
from edge.policy.errors import PolicyToolError
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

_STEP = "write one plain object"


def read_json(content: bytes, name: str) -> Object:
    """One JSON object: no repeated keys, NaN, numbers beyond 64 bits. PolicyToolError."""
    try:
        return parse_json(content)
    except Refusal as refusal:
        raise PolicyToolError(not_json(content, name, refusal), _STEP) from None


def not_json(content: bytes, name: str, refusal: Refusal) -> str:
    """What is wrong with an operator's JSON file, with line and column where there is one place."""
    if refusal.hint is None and refusal.reason is Reason.INVALID_JSON:
        try:
            json.loads(content.decode())
        except json.JSONDecodeError as error:
            return f"{name}:{error.lineno}:{error.colno} is not JSON: {error.msg}"
        except UnicodeDecodeError as error:
            row = content.count(b"\n", 0, error.start) + 1
            return f"{name}:{row} is not UTF-8"
        except (ValueError, RecursionError):
            pass
    return f"{name} is not one strict JSON object" + (f": {refusal.hint.rstrip('.')}" if refusal.hint else "")


def read_yaml(content: bytes, name: str) -> Object:
    """One YAML 1.2 table of plain values: no tags, aliases, repeated keys. PolicyToolError."""
    from edge.config.document import parse as parse_yaml  # PyYAML: 10 ms, only where somebody writes YAML

    try:
        node = parse_yaml(content, name)
    except ConfigError as error:
        raise PolicyToolError(str(error), _STEP) from None
    if node is None:
        return {}
    _once(node, name)
    value = plain(node)
    if not isinstance(value, dict) or not _finite(value):
        raise PolicyToolError(f"{name} is no table of plain values", _STEP)
    return value


def _once(node: Node, name: str) -> None:
    if isinstance(node, Mapping):
        seen: set[str] = set()
        for entry in node.entries:
            if entry.key in seen:
                raise PolicyToolError(f"{name}:{entry.mark.line} repeats the key '{entry.key}'", _STEP)
            seen.add(entry.key)
            _once(entry.value, name)
    elif isinstance(node, Sequence):
        for item in node.items:
            _once(item, name)


def _finite(value: JSON) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
