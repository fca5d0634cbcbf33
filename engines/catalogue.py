"""Which models exist, under which canonical names, on which engines.

A snapshot: built whole, never changed, replaced by assigning another. A request that began with one ends with it. Names
are looked up by their canonical spelling only, so that no other spelling of a model walks round a rule (security.md
3.3), and rules are matched against the name in the `Target`, never against what the caller wrote.

A name may end in `@` and a preset's name: `llama3.2@code` means the model `llama3.2`, for rules and look-ups alike,
whatever engines offer: no engine takes a request over by listing a model of that name. Other names that hold an `@`
(`foo@q4_k_m`) are names like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from engines.adapters.docker_model_runner import BACKENDS
from engines.contract import Engine, Kind, Model, Target
from engines.naming import Named, parted
from policies.names import canonical, is_name

Offer: TypeAlias = tuple[Engine, Sequence[Model]]
"""An engine that is up, and the models it lists."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing: `name` is what rules are matched against, `id` what callers are shown and may ask for."""

    name: str
    id: str
    engines: tuple[str, ...]
    created: int = 0
    context: int | None = None


class Catalogue:
    """An immutable snapshot. `problems` says, for the operator, which offers and aliases were left out and why."""

    __slots__ = ("_aliases", "_given", "_left_out", "_offered", "_presets", "_targets", "problems")

    def __init__(
        self,
        offers: Iterable[Offer] = (),
        aliases: Mapping[str, str] | None = None,
        presets: Collection[str] = frozenset(),
    ) -> None:
        """`offers` in the operator's order of preference; `aliases` maps alias -> model name, one hop only, where the
        model may have a preset; `presets` are the names of those there are, in lower case."""
        left_out: list[str] = []
        self._given: Mapping[str, str] = aliases or {}
        self._offered = _grouped(offers, left_out)
        self._left_out = tuple(left_out)
        self._name(presets)

    def with_presets(self, presets: Collection[str]) -> Catalogue:
        """The same offers and aliases, where these presets can be named."""
        other = Catalogue((), self._given)
        other._offered, other._left_out = self._offered, self._left_out
        other._name(presets)
        return other

    def _name(self, presets: Collection[str]) -> None:
        problems = list(self._left_out)
        self._presets = frozenset(presets)
        hidden = sorted(name for name in self._offered if parted(name, self._presets).preset)
        problems += [f"model {name}: its name ends in a preset's; it is left out" for name in hidden]
        self._targets = {name: found for name, found in self._offered.items() if name not in hidden}
        self._aliases = _resolved(self._given, self._targets, self._presets, problems)
        self.problems = tuple(problems)

    def resolve(self, name: str, engine_hint: str | None = None) -> tuple[Target, ...]:
        """Every engine that serves what `name` means, in configured order; empty for an unknown name.

        An alias wins over a model of that name: the operator wrote it, an engine merely says it. `engine_hint` is an
        engine's name, or one of Docker Model Runner's backends, which means any Docker Model Runner.
        """
        return self.having(self.meaning(name), engine_hint) if is_name(name) else ()

    def having(self, model: str, engine_hint: str | None = None) -> tuple[Target, ...]:
        """Every engine that has the model of this canonical name, as `resolve` would; what else the name may mean by
        now does not count. For who has a permit: it is for this model and no other."""
        found = self._targets.get(model, ())
        if engine_hint is None:
            return found
        named = tuple(t for t in found if t.engine.name == engine_hint)
        if not named and engine_hint in BACKENDS:
            return tuple(t for t in found if t.engine.kind is Kind.DOCKER_MODEL_RUNNER)
        return named

    def meaning(self, name: str) -> str:
        """The canonical name of the model that `name` means, whether or not an engine offers it now."""
        return self.named(name).model

    def named(self, name: str) -> Named:
        """`meaning`, and the preset that `name` asks for: after its `@`, else that of the alias it is."""
        key = canonical(name)
        if (alias := self._aliases.get(key)) is not None:
            return alias.means
        means = parted(key, self._presets, self._aliases)
        alias = self._aliases.get(means.model)
        return means if alias is None else alias.means._replace(preset=means.preset)

    def models(self) -> tuple[Entry, ...]:
        """The models themselves, by name; those an alias hides are left out."""
        return tuple(
            _entry(name, _shown(name, targets), targets)
            for name, targets in sorted(self._targets.items())
            if name not in self._aliases
        )

    def aliases(self) -> tuple[Entry, ...]:
        """The aliases whose model is there: `id` is the alias as configured, `name` the model's canonical name."""
        return tuple(
            _entry(alias.means.model, alias.written, self._targets[alias.means.model])
            for _, alias in sorted(self._aliases.items())
            if alias.means.model in self._targets
        )


def _grouped(offers: Iterable[Offer], problems: list[str]) -> dict[str, tuple[Target, ...]]:
    targets: dict[str, list[Target]] = {}
    for engine, models in offers:
        for name, model in _unambiguous(engine, models, problems).items():
            targets.setdefault(name, []).append(Target(engine, model))
    return {name: tuple(found) for name, found in targets.items()}


def _unambiguous(engine: Engine, models: Iterable[Model], problems: list[str]) -> dict[str, Model]:
    """The engine's models by name, without those of which two different ones fall onto one name."""
    kept: dict[str, Model] = {}
    dropped: set[str] = set()
    for model in models:
        if not is_name(model.name) or canonical(model.name) != model.name:
            problems.append(f"engine {engine.name}: a model without a usable name is left out")
        elif kept.setdefault(model.name, model).id != model.id:
            dropped.add(model.name)
    problems += [
        f"engine {engine.name}: two models share the name {name}; both are left out" for name in sorted(dropped)
    ]
    return {name: model for name, model in kept.items() if name not in dropped}


class _Alias(NamedTuple):
    written: str
    means: Named


def _resolved(
    aliases: Mapping[str, str], targets: Collection[str], presets: Collection[str], problems: list[str]
) -> dict[str, _Alias]:
    """By canonical alias."""
    found: dict[str, _Alias] = {}
    for alias, model in aliases.items():
        key = canonical(alias)
        means = parted(canonical(model), presets)._replace(alias=key)
        if not is_name(alias) or not is_name(model) or key == means.model:
            problems.append("an alias is not a name, or names itself; it is left out")
        elif found.setdefault(key, _Alias(alias, means)).means != means:
            problems.append(f"alias {alias}: given twice; the first one holds")
        elif key in targets:
            problems.append(f"alias {alias}: hides a model of that name")
    chained = [key for key, alias in found.items() if alias.means.model in found]
    problems += [f"alias {found[key].written}: its target is an alias; it is left out" for key in chained]
    for key in chained:
        del found[key]
    return found


def _shown(name: str, targets: tuple[Target, ...]) -> str:
    """The engine's own id where it is one name for all and leads back here; the canonical name otherwise."""
    identity = targets[0].model.id
    same = all(target.model.id == identity for target in targets)
    return identity if same and is_name(identity) and canonical(identity) == name else name


def _entry(name: str, identity: str, targets: tuple[Target, ...]) -> Entry:
    contexts = [target.model.context for target in targets if target.model.context]
    return Entry(
        name,
        identity,
        tuple(target.engine.name for target in targets),
        max(target.model.created for target in targets),
        min(contexts, default=None),  # the promise that holds wherever the request goes
    )
