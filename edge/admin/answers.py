"""What a route of the admin listener gets and gives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from edge.dialects.errors import JSON_TYPE
from edge.listener.inbound import Headers, Inbound
from policies.json import JSON
from policies.principal import Principal
from policies.reasons import Reason


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of an admin. `readmit` asks again whether they still are one (Refusal if not): for after a wait."""

    inbound: Inbound
    principal: Principal
    readmit: Callable[[], Awaitable[None]]

    @property
    def headers(self) -> Headers:
        return self.inbound.headers


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. The request's id and `cache-control` are added to `headers` unless they say otherwise."""

    status: int
    headers: Headers = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Flow:
    """An answer that goes on: status 200, and each block is sent as it comes. Whatever ends it closes `blocks`.

    `last` is sent at the end where it was an error that ended it: the reason why.
    """

    headers: Headers
    blocks: AsyncGenerator[bytes]
    last: Callable[[Reason], bytes]


Route: TypeAlias = Callable[[Ask], Awaitable[Answer | Flow]]
"""Answers one route; raises GatewayError."""


def json_answer(status: int, document: JSON, **headers: str) -> Answer:
    """`document` as an answer."""
    return Answer(status, {"content-type": JSON_TYPE, **headers}, orjson.dumps(document))
