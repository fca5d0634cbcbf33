"""What types and ranges cannot say. Pure: settings in, (where, what is wrong) out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TypeAlias

from edge.config.check_keys import keys
from edge.config.check_policy import policy
from edge.config.decode import Steps
from edge.config.problems import Wrong
from edge.config.settings import ADMIN, Admin, Engines, Listener, Settings
from edge.config.values import Bind
from edge.identity.grant import preset
from edge.identity.lockout import LockoutSettings
from edge.identity.stack import STACKS
from engines.contract import Timeouts
from engines.naming import parted
from policies.names import canonical, is_name

Finding: TypeAlias = tuple[Steps, Wrong]


def check(settings: Settings) -> Iterator[Finding]:
    """Every contradiction in `settings`."""
    yield from _listeners(settings)
    yield from _engines(settings.engines)
    yield from _presets(settings)
    yield from _aliases(settings)
    yield from _positive(("identity", "lockout"), settings.identity.lockout)
    yield from _issuers(settings)
    yield from keys(settings)
    yield from policy(settings)


def _listeners(settings: Settings) -> Iterator[Finding]:
    if not settings.listeners:
        yield ("listeners",), Wrong("must hold at least one listener", "[{name: local, bind: 127.0.0.1:8080}]")
    names: set[str] = set()
    taken: dict[Bind, str] = {}
    for i, listener in enumerate(settings.listeners):
        steps = ("listeners", f"[{i}]")
        if listener.name in names:
            yield (*steps, "name"), Wrong(f"`{listener.name}` is the name of another listener too")
        names.add(listener.name)
        if listener.name == ADMIN:
            yield (*steps, "name"), Wrong(f"`{ADMIN}` is the name of the admin plane, in keys and in logs")
        yield from _door(steps, listener, f"listener `{listener.name}`", taken)
    yield from _door((ADMIN,), settings.admin, "the admin plane", taken)


def _door(steps: Steps, door: Listener | Admin, label: str, taken: dict[Bind, str]) -> Iterator[Finding]:
    yield from _exposure(steps, door)
    if door.bind.port and door.bind in taken:  # port 0 is another port each time
        yield (*steps, "bind"), Wrong(f"{door.bind} is the address of {taken[door.bind]} too")
    taken.setdefault(door.bind, label)


def _exposure(steps: Steps, door: Listener | Admin) -> Iterator[Finding]:
    """An address that others can reach needs TLS, or must be wanted without in so many words: docs/decisions/0029."""
    tls = isinstance(door, Listener) and door.tls is not None
    if tls and door.insecure:
        yield (*steps, "insecure"), Wrong("stands beside `tls`: it is the one or the other")
    elif not (tls or door.insecure or door.bind.loopback):
        who = "every network of this machine" if door.bind.wildcard else "the network of that address"
        ways = "`tls: auto`, or `insecure: true`" if isinstance(door, Listener) else "`insecure: true`"
        message = f"{door.bind} can be reached from {who}, without TLS; say {ways} beside it if that is meant"
        yield (*steps, "bind"), Wrong(message, f"127.0.0.1:{door.bind.port}")


def _engines(engines: Engines) -> Iterator[Finding]:
    names: set[str] = set()
    for i, engine in enumerate(engines.list):
        steps = ("engines", "list", f"[{i}]")
        if engine.name in names:
            yield (*steps, "name"), Wrong(f"`{engine.name}` is the name of another engine too")
        names.add(engine.name)
        if engine.name == "v1":
            # /engines/v1/... is Docker Model Runner's path without an engine
            yield (*steps, "name"), Wrong("`v1` cannot be an engine's name: /engines/v1/ is a path of its own")
        yield from _positive((*steps, "timeouts"), engine.timeouts)
        if engine.model is not None and not is_name(engine.model):
            yield (*steps, "model"), Wrong("is not a model name (letters, digits and ._:/@+-, at most 256)")


def _positive(steps: Steps, limits: Timeouts | LockoutSettings) -> Iterator[Finding]:
    """A zero would switch such a limit off, or everything behind it."""
    for field in fields(limits):
        if not getattr(limits, field.name) > 0:
            yield (*steps, field.name), Wrong("must be above 0")


def _presets(settings: Settings) -> Iterator[Finding]:
    for name in settings.models.presets:
        try:
            preset(name)
        except ValueError as error:
            yield ("models", "presets", name), Wrong(f"is no name for a preset: {error}")


def _aliases(settings: Settings) -> Iterator[Finding]:
    aliases = settings.models.aliases
    seen: dict[str, str] = {}
    for alias, target in aliases.items():
        steps = ("models", "aliases", alias)
        if not is_name(alias):
            yield steps, Wrong("the alias is not a model name (letters, digits and ._:/@+-, at most 256)")
        elif not is_name(target):
            yield steps, Wrong("is not a model name (letters, digits and ._:/@+-, at most 256)")
        other = seen.setdefault(canonical(alias), alias)
        if other != alias:
            yield steps, Wrong(f"is the same name as the alias `{other}`")
    for alias, target in aliases.items():
        # One step only: a chain would let an edit far away change what an alias, and a rule about it, means.
        model = canonical(target)
        if model in seen or parted(model, settings.models.presets).model in seen:
            yield ("models", "aliases", alias), Wrong("must name a model, not an alias")


def _issuers(settings: Settings) -> Iterator[Finding]:
    names: set[str] = set()
    urls: set[str] = set()
    listeners = {listener.name for listener in settings.listeners}
    for i, issuer in enumerate(settings.identity.issuers):
        steps = ("identity", "issuers", f"[{i}]")
        if issuer.name in names:
            yield (*steps, "name"), Wrong(f"`{issuer.name}` is the name of another issuer too")
        if issuer.name == STACKS:
            # Its user `shop` would be the owner of the keys of the stack `shop`: the same limits, the same grants.
            yield (*steps, "name"), Wrong(f"owners called `{STACKS}:...` are Compose's stacks; choose another name")
        if issuer.issuer in urls:
            # a token names its issuer: two settings for one would make the answer depend on their order
            yield (*steps, "issuer"), Wrong("is configured already")
        names.add(issuer.name)
        urls.add(issuer.issuer)
        for unknown in sorted(issuer.listeners - listeners):
            yield (*steps, "listeners"), Wrong(f"`{unknown}` is not the name of a listener")
