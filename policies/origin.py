"""Where a call comes from, beyond its address: the container, as Docker's own DNS names it. A label, never a proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Container:
    """A calling container: `name`, and the `network` by which it reached the gateway; `stack` (the Compose project) and
    `service` of one that Compose made, "" where that cannot be told.

    Nobody is authenticated by it: whoever may start containers names them, and a container with raw sockets (Docker's
    default) can call from a neighbour's address.
    """

    name: str = ""
    network: str = ""
    stack: str = ""
    service: str = ""


NO_CONTAINER: Final = Container()
"""For documents in which every field stands: nothing is known."""
