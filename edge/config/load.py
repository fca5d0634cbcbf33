"""Find the file, read it, decode it, check it: all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.config.check import check
from edge.config.check_keys import secrets
from edge.config.decode import Decoder, Steps
from edge.config.nodes import Mark, Node
from edge.config.problems import ConfigError, Problem, Wrong
from edge.config.settings import Settings
from edge.config.shapes import shape_of
from edge.config.values import Bind

CONFIG_VARIABLE: Final = "LLM_GATEWAY_CONFIG"
DEFAULT_FILE: Final = "gateway.yaml"
_DEFAULTS: Final = "defaults"
_MAX_READ: Final = 1024 * 1024 + 1  # one byte more than document.py accepts: it tells the mistake


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says in place of the file. `listen` is the first listener's address.

    It replaces the address and nothing else: `--listen 0.0.0.0:8080` typed in passing opens nothing without TLS.
    """

    listen: str | None = None
    admin: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings come from: the file (None = defaults), and how to read it again, which raises ConfigError."""

    file: Path | None
    read: Callable[[], Settings]


def locate(path: str | Path | None, env: Mapping[str, str]) -> Path | None:
    """The file to read: `path`, else $LLM_GATEWAY_CONFIG, else ./gateway.yaml if there is one, else None."""
    if path is not None:
        return Path(path)
    if chosen := env.get(CONFIG_VARIABLE):
        return Path(chosen)
    found = Path(DEFAULT_FILE)
    return found if found.exists() else None


def load(
    path: str | Path | None,
    env: Mapping[str, str],
    overrides: Overrides | None = None,
    *,
    key_files: bool = False,
) -> Settings:
    """The settings in force. Raises ConfigError with every mistake that was found.

    `key_files`: also see whether the secret files of `keys` can be used, which commands beside a gateway need not.
    """
    file = locate(path, env)
    source = str(file) if file else _DEFAULTS
    node = _read(file) if file else None
    decoder = Decoder(source, file.parent if file else Path(), env)
    settings = decoder.record(shape_of(Settings), node)
    if not isinstance(settings, Settings):
        raise ConfigError(decoder.problems)
    return _checked(settings, decoder, overrides or Overrides(), key_files=key_files)


def _read(file: Path) -> Node | None:
    from edge.config.document import parse  # PyYAML: not loaded when there is no file

    try:
        with file.open("rb") as handle:
            data = handle.read(_MAX_READ)
    except OSError as error:
        raise ConfigError([Problem(str(file), 0, 0, "", f"cannot be read: {error.strerror or error}")]) from None
    return parse(data, str(file))


def _checked(settings: Settings, decoder: Decoder, overrides: Overrides, *, key_files: bool) -> Settings:
    origin: dict[Steps, str] = {}
    if overrides.listen is not None and settings.listeners:
        bind = _bind("--listen", overrides.listen)
        first = replace(settings.listeners[0], bind=bind)
        settings = replace(settings, listeners=(first, *settings.listeners[1:]))
        origin["listeners", "[0]", "bind"] = "--listen"
    if overrides.admin is not None:
        settings = replace(settings, admin=replace(settings.admin, bind=_bind("--admin", overrides.admin)))
        origin["admin", "bind"] = "--admin"
    for steps, wrong in (*check(settings), *(secrets(settings) if key_files else ())):
        decoder.report(steps, wrong, Mark(0, 0) if steps in origin else None)
    if decoder.problems:
        options = {".".join(steps).replace(".[", "["): option for steps, option in origin.items()}
        raise ConfigError([_named(problem, options) for problem in decoder.problems])
    return settings


def _named(problem: Problem, options: Mapping[str, str]) -> Problem:
    """A mistake on the command line is told with the option's name."""
    option = options.get(problem.path)
    return replace(problem, source=option, path="") if option else problem


def _bind(option: str, text: str) -> Bind:
    try:
        return Bind.parse(text)
    except Wrong as wrong:
        raise ConfigError([Problem(option, 0, 0, "", wrong.message, wrong.instead)]) from None
