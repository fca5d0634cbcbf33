"""What grants refer to must exist: a misspelt network or listener would make a grant that never matches. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeAlias

from edge.config.decode import Steps
from edge.config.leaves import closest
from edge.config.problems import Wrong
from edge.config.settings import Settings
from policies.grants import Grant
from policies.names import canonical

Finding: TypeAlias = tuple[Steps, Wrong]


def policy(settings: Settings) -> Iterator[Finding]:
    """Every grant that could not do what it says."""
    known = {
        "networks": settings.policy.networks.keys(),
        "listeners": {listener.name for listener in settings.listeners},
        "rate_class": settings.limits.classes.keys(),
    }
    ids: set[str] = set()
    aliases = {canonical(alias) for grant in settings.policy.grants for alias in grant.aliases}
    for i, grant in enumerate(settings.policy.grants):
        steps = ("policy", "grants", f"[{i}]")
        if grant.id in ids:
            yield (*steps, "id"), Wrong(f"`{grant.id}` is the id of another grant too")
        ids.add(grant.id)
        for name, words in _references(grant).items():
            for word in words:
                if word not in known[name]:
                    yield (*steps, name), _unknown(word, name, known[name])
        for alias, model in grant.aliases.items():
            if canonical(model) in aliases:
                yield (*steps, "aliases", alias), Wrong(f"`{model}` is an alias too; name the model itself")
        if not (grant.everyone or grant.users or grant.groups or grant.keys):
            yield steps, Wrong("gives nobody anything: name `users`, `groups` or `keys`, or say `everyone: true`")


def _references(grant: Grant) -> dict[str, tuple[str, ...]]:
    one = () if grant.rate_class is None else (grant.rate_class,)
    return {"networks": grant.networks, "listeners": grant.listeners, "rate_class": one}


def _unknown(word: str, name: str, known: Collection[str]) -> Wrong:
    where = {"networks": "policy.networks", "listeners": "listeners", "rate_class": "limits.classes"}[name]
    return Wrong(f"`{word}` is not the name of anything in {where}", closest(word, tuple(known)))
