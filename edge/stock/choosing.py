"""Which engine fetches a model, and which one loses it. Pure.

In this order: one that has the model already; one of the kind that the dialect belongs to; the first one that is
configured. Where the configuration names the engine that fetches, no other one does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Target
from engines.pulling import can_pull
from policies.call import Dialect
from policies.errors import Refusal
from policies.names import bare, canonical
from policies.reasons import Reason

KINDS: Final = "It takes an engine of kind ollama or docker-model-runner."
_AT_HOME: Final[Mapping[Dialect, Kind]] = MappingProxyType(
    {Dialect.OLLAMA: Kind.OLLAMA, Dialect.MODEL_RUNNER: Kind.DOCKER_MODEL_RUNNER}
)
_RETRY: Final = 5.0


def spelling(name: str, means: str) -> str:
    """What an engine is asked for by who says `name`, which means canonical `means`: the letters of who asks, since a
    registry's tags know upper case; but an alias, or a preset, is a word of ours, and in a registry another model's."""
    return name if canonical(name) == means else means


def fetcher(
    engines: Mapping[Engine, bool],
    model: str,
    dialect: Dialect,
    *,
    holders: Collection[Engine] = (),
    named: str | None = None,
) -> Engine:
    """The one of `fetchers` to fetch `model`; `holders`: those that have it. Refusal as there."""
    home = _AT_HOME.get(dialect)
    able = fetchers(engines, model, named=named)
    return min(able, key=lambda engine: (engine not in holders, engine.kind is not home))


def fetchers(engines: Mapping[Engine, bool], model: str, *, named: str | None = None) -> list[Engine]:
    """The engines that can fetch `model`, at least one. `engines`: all, and whether each is up; `named`: by the
    configuration, or by who asks.

    Refusal: OPERATION_NOT_SUPPORTED if no engine can, NO_ENGINE if none that can is up, MODEL_NOT_PERMITTED for a model
    that no engine here would run itself.
    """
    able = [engine for engine in engines if can_pull(engine) and _would_list(engine, model)]
    if named is not None:
        able = [engine for engine in able if engine.name == named]
    if not able:
        raise Refusal(Reason.OPERATION_NOT_SUPPORTED, hint=KINDS)
    up = [engine for engine in able if engines[engine]]
    if not up:
        raise Refusal(Reason.NO_ENGINE, retry_after=_RETRY)
    willing = [engine for engine in up if adapter_for(engine.kind).pull(bare(model)) is not None]
    if not willing:
        raise Refusal(Reason.MODEL_NOT_PERMITTED, detail="a cloud model: it runs on somebody else's machine")
    return willing


def loser(targets: Sequence[Target], dialect: Dialect) -> Target:
    """Of the engines that have the model, the one that loses it. Refusal(OPERATION_NOT_SUPPORTED) if none deletes."""
    able = [target for target in targets if adapter_for(target.engine.kind).delete(target.model) is not None]
    if not able:
        raise Refusal(Reason.OPERATION_NOT_SUPPORTED, hint=KINDS)
    home = _AT_HOME.get(dialect)
    return min(able, key=lambda target: target.engine.kind is not home)


def _would_list(engine: Engine, model: str) -> bool:
    """An engine that is pinned to one model would fetch another one, and never show it."""
    return engine.model is None or canonical(engine.model) == canonical(model)
