"""One policy held in a scratch child, for `eval`, `explain` and `replay`: questions in, values out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import orjson

from policies.bundle import Bundle
from policies.embedded.child import Child, ChildDied
from policies.embedded.findings import ScratchLimits, WorkshopError, read_problem
from policies.embedded.sizes import oversized
from policies.engine import PolicyEngineDown, PolicyFault
from policies.json import JSON, as_str

_BATCH: Final = 100
_MOST_DEATHS: Final = 8
"""A replay survives so many inputs that end the child; more, and the policy is not worth the waiting."""


class Evaluator:
    """One scratch child that holds one policy. An async context manager; one question at a time, others wait."""

    def __init__(self, bundle: Bundle, *, limits: ScratchLimits | None = None) -> None:
        """`limits.seconds` is for loading and for each batch, not for the evaluator's whole life."""
        self._bundle = bundle
        self._limits = limits or ScratchLimits()
        self._lock = asyncio.Lock()
        self._child: Child | None = None

    async def __aenter__(self) -> Self:
        """Start and load. WorkshopError if the policy does not load."""
        refused = oversized(self._bundle)
        if refused:
            raise WorkshopError(f"{refused[0].file or 'the policy'}: {refused[0].message}")
        try:
            await self._start()
        except ChildDied as error:
            raise WorkshopError(f"loading the policy {error}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def evaluate(self, document: bytes) -> JSON:
        """The decision for the input `document`. PolicyFault; PolicyEngineDown if the child died of it."""
        return await self._one("decision", document)

    async def rules(self, document: bytes) -> JSON:
        """The value of the whole package `data.gateway.authz`, every rule in it: for `explain`. As `evaluate`."""
        return await self._one("package", document)

    async def evaluate_many(self, documents: Sequence[bytes]) -> list[JSON | PolicyFault]:
        """The decisions for `documents`, in their order. PolicyEngineDown if too many of them end the child."""
        found: list[JSON | PolicyFault] = []
        deaths = 0
        async with self._lock:
            while len(found) < len(documents):
                batch = documents[len(found) : len(found) + _BATCH]
                cause = await self._batch("decision", batch, found)
                if cause is not None:
                    deaths += 1
                    if deaths > _MOST_DEATHS:
                        raise PolicyEngineDown(f"the engine ended {deaths} times; the last decision {cause}")
                    found.append(PolicyFault(f"the decision {cause}"))
        return found

    async def _one(self, rule: str, document: bytes) -> JSON:
        found: list[JSON | PolicyFault] = []
        async with self._lock:
            cause = await self._batch(rule, [document], found)
        if cause is not None:
            raise PolicyEngineDown(f"the decision {cause}")
        (value,) = found
        if isinstance(value, PolicyFault):
            raise value
        return value

    async def _batch(self, rule: str, documents: Sequence[bytes], found: list[JSON | PolicyFault]) -> str | None:
        """Append the answers to `found`; what the child died of if one is missing: that of the next document."""
        inputs = [_checked(document) for document in documents]
        try:
            async with asyncio.timeout(self._limits.seconds):
                child = self._child or await self._start()
                sound = [item for item in inputs if isinstance(item, bytes)]
                child.send(b'{"rule":"%b","inputs":[%b]}' % (rule.encode(), b",".join(sound)))
                for item in inputs:
                    # One by one: those before the death of the child count.
                    found.append(item if isinstance(item, PolicyFault) else await _answer(child))  # noqa: PERF401 - above
        except ChildDied as error:
            cause = str(error)
        except TimeoutError:
            cause = f"took longer than {self._limits.seconds:g} s"
        except BaseException:
            await self._stop()  # answers are still on their way, and the next question must not get them
            raise
        else:
            return None
        await self._stop()
        return cause

    async def _start(self) -> Child:
        """A child with the policy loaded. ChildDied; WorkshopError if the policy does not compile."""
        child = self._child = await Child.start(self._limits, cpu=False)
        bundle = self._bundle
        child.ask("hold", modules={**bundle.modules}, data=bundle.data)
        try:
            async with asyncio.timeout(self._limits.seconds):
                kind, value = await child.hear()
        except TimeoutError:
            await self._stop()
            raise ChildDied(f"took longer than {self._limits.seconds:g} s") from None
        except ChildDied:
            await self._stop()
            raise
        if kind != "ready":
            await self._stop()
            found = read_problem(value)
            raise WorkshopError(f"{found.file}:{found.row}:{found.column}: {found.message}")
        return child

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.close()


def _checked(document: bytes) -> bytes | PolicyFault:
    """`document` as one line; a fault for what is no JSON, and would break the framing."""
    try:
        return orjson.dumps(orjson.loads(document))
    except orjson.JSONDecodeError as error:
        return PolicyFault(f"the input is not JSON: {error}")


async def _answer(child: Child) -> JSON | PolicyFault:
    kind, value = await child.hear()
    if kind == "value":
        return value
    if kind == "fault":
        return PolicyFault(as_str(value))
    raise ChildDied("said something that is not known")
