"""What is wrong with `keys`. `keys` is pure; `secrets` reads the files: for who starts a gateway, or checks one."""

from __future__ import annotations

from collections.abc import Iterator

from edge.config.decode import Steps
from edge.config.leaves import closest
from edge.config.problems import Wrong
from edge.config.settings import Settings
from edge.identity.secret_file import SecretFileError, read_token


def keys(settings: Settings) -> Iterator[tuple[Steps, Wrong]]:
    """Contradictions that need no file."""
    names: set[str] = set()
    listeners = {listener.name for listener in settings.listeners}
    for i, key in enumerate(settings.keys):
        steps = ("keys", f"[{i}]")
        if key.name in names:
            yield (*steps, "name"), Wrong(f"`{key.name}` is the name of another key too")
        names.add(key.name)
        for unknown in sorted(set(key.listeners) - listeners):
            yield (*steps, "listeners"), Wrong(f"`{unknown}` is not the name of a listener")
        if key.preset is not None and key.preset not in (known := settings.models.presets):
            wrong = Wrong(f"`{key.preset}` is not the name of a preset", closest(key.preset, tuple(known)))
            yield (*steps, "preset"), wrong


def secrets(settings: Settings) -> Iterator[tuple[Steps, Wrong]]:
    """Files that hold no usable secret, or the same as another."""
    owners: dict[str, str] = {}
    for i, key in enumerate(settings.keys):
        steps = ("keys", f"[{i}]", "secret_file")
        try:
            token = read_token(key.secret_file)
        except SecretFileError as error:
            yield steps, Wrong(str(error))
            continue
        other = owners.setdefault(token.id, key.name)
        if other != key.name:
            yield steps, Wrong(f"holds the key of `{other}`: every entry needs a secret of its own")
