"""What the signals share: attributes, resource and scope as protobuf; a message as bytes in either protocol. Pure.

OTLP's JSON is protobuf's JSON mapping but for two things (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"):
ids are hex, not base64, and enums are numbers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

import orjson
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage

from observability.otlp.resource import SERVICE, Resource

Value: TypeAlias = str | bool | int | float | tuple[str, ...]

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_INT64: Final = 1 << 63


class Protocol(StrEnum):
    """How messages are written."""

    PROTOBUF = "protobuf"
    JSON = "json"

    @property
    def content_type(self) -> str:
        """As the collector is told."""
        return "application/x-protobuf" if self is Protocol.PROTOBUF else "application/json"


def any_value(value: Value) -> AnyValue:
    """One value."""
    match value:
        case bool():  # before int: True is one
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int() if -_INT64 <= value < _INT64:
            return AnyValue(int_value=value)
        case int() | float():
            return AnyValue(double_value=value)
        case tuple():
            return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=item) for item in value]))


def key_values(attributes: Mapping[str, Value]) -> list[KeyValue]:
    """All of them, in their order."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def resource_message(resource: Resource) -> ResourceMessage:
    """Who sends."""
    return ResourceMessage(attributes=key_values(dict(resource.attributes())))


def scope(resource: Resource) -> InstrumentationScope:
    """Which library made it: we did."""
    return InstrumentationScope(name=SERVICE, version=resource.version)


def write(message: Message, protocol: Protocol) -> bytes:
    """The body of a request."""
    if protocol is Protocol.PROTOBUF:
        return message.SerializeToString()
    from google.protobuf.json_format import MessageToDict  # only where JSON is asked for

    return orjson.dumps(_hex_ids(MessageToDict(message, use_integers_for_enums=True)))


def _hex_ids(node: object) -> object:
    match node:
        case dict():
            return {key: _hex(value) if key in _IDS else _hex_ids(value) for key, value in node.items()}
        case list():
            return [_hex_ids(item) for item in node]
        case _:
            return node


def _hex(value: object) -> object:
    return base64.b64decode(value).hex() if isinstance(value, str) else value
