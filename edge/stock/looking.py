"""Waits until the engines' listings say what was just done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from engines.contract import Target

_WITHIN: Final = 5.0
_POLL: Final = 0.25


class Looker(Protocol):
    """What `Fleet` knows of the engines."""

    async def look_again(self, model: str) -> tuple[Target, ...]: ...


async def seen(engines: Looker, model: str, wanted: Callable[[Sequence[Target]], bool] = bool) -> bool:
    """Whether those that offer `model` are soon as `wanted`: that there are any, if not said otherwise.

    They are asked again and again, for five seconds: looks are paced, and the last may be from before.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _WITHIN
    while not wanted(await engines.look_again(model)):
        if loop.time() >= until:
            return False
        await asyncio.sleep(_POLL)
    return True


def lost(found: Sequence[Target], target: Target) -> bool:
    """Whether the engine of `target` is no longer among those that offer its model."""
    return target.engine.name not in [each.engine.name for each in found]
