"""What records say of who called, where an obligation takes some of that out of them. Pure.

A key's id and its label are two things; of a JWT both hold the subject, which is what `caller.id` is.
"""

from __future__ import annotations

from typing import Final

from policies.exchange import Exchange
from policies.origin import NO_CONTAINER, Container
from policies.record import MASK

_ID: Final = "caller.id"
_NAME: Final = "caller.name"
_PLACE: Final = frozenset({"source.ip", "source.container"})
_WHO: Final = _PLACE | {_ID, _NAME}
_HIDDEN: Final = Container(MASK, MASK, MASK, MASK)


def key_of(exchange: Exchange) -> str:
    """The credential's id; "" for a stranger."""
    principal = exchange.principal
    if principal is None:
        return ""
    return MASK if principal.auth == "jwt" and _ID in exchange.redact else principal.key_id


def container_of(exchange: Exchange) -> Container:
    """The caller's container, as far as it is known. Who hides an address hides the container there, too."""
    if exchange.container is None:
        return NO_CONTAINER
    return exchange.container if exchange.redact.isdisjoint(_PLACE) else _HIDDEN


def device_of(exchange: Exchange) -> str:
    """The device that the key was given to; "" if none was said. It names who calls, and from where."""
    if exchange.principal is None or not exchange.principal.device:
        return ""
    return exchange.principal.device if exchange.redact.isdisjoint(_WHO) else MASK


def detail_of(exchange: Exchange) -> str:
    """What the operator is told beside the reason. A limit of one's own is called after one's name."""
    principal, detail = exchange.principal, exchange.outcome.detail
    if principal is None or exchange.redact.isdisjoint({_NAME} if principal.auth == "key" else {_ID, _NAME}):
        return detail
    own = f"key {principal.name}"
    return f"key {MASK}{detail.removeprefix(own)}" if detail.startswith(own) else detail
