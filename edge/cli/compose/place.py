"""Which gateway, and with which key: from the environment or from the state folder, never from the Compose file.

    LLM_GATEWAY_ADMIN_URL and a key with scope admin in LLM_GATEWAY_ADMIN_KEY or ..._KEY_FILE   a gateway elsewhere
    otherwise   the gateway of this user's state folder ($LLM_GATEWAY_HOME), where its last `up` said it is

./gateway.yaml is not looked at: a provider runs in the folder of somebody's application.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edge.cli.live.access import KEY_FILE_VARIABLE, KEY_VARIABLE, Access, Given, access, given_key
from edge.cli.live.client import Where
from edge.config.load import CONFIG_VARIABLE, load
from edge.config.settings import Settings
from edge.identity.state import StateError, state_home
from edge.running import noted
from policies.principal import Scope

URL_VARIABLE: Final = "LLM_GATEWAY_ADMIN_URL"
_EXAMPLE: Final = "write it as http://127.0.0.1:8081 or https://gateway.example:8443"


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway. `state` is None where it is another machine's, or another user's."""

    where: Where
    access: Access
    state: State | None


@dataclass(frozen=True, slots=True)
class State:
    """The gateway's own folder and settings, for what needs no running gateway; whether one runs."""

    home: Path
    settings: Settings
    running: bool = False


def find(environ: Mapping[str, str]) -> Place:
    """Raises StateError and ConfigError."""
    if url := environ.get(URL_VARIABLE, ""):
        key = given_key(environ)
        if not key:
            raise StateError(
                f"{URL_VARIABLE} is set and there is no key for it",
                f"put one with scope admin into {KEY_VARIABLE}, or its file's path into {KEY_FILE_VARIABLE}",
            )
        return Place(_where(url), Given(key), None)
    home = state_home(environ)
    last = noted(home)
    file = environ.get(CONFIG_VARIABLE) or (last.config if last else None)
    settings = load(file, environ) if file else Settings()
    admin = last.admin if last else settings.admin.bind
    return Place(
        Where.of(admin),
        access("compose", settings, environ, scope=Scope.ADMIN),
        State(home, settings, running=last is not None and last.alive),
    )


def _where(url: str) -> Where:
    """StateError, also for a plain-text way to another machine: an admin's key would be read on it."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.path.strip("/"):
        raise StateError(f"{URL_VARIABLE} is no address of an admin listener", _EXAMPLE)
    tls = parts.scheme == "https"
    if not tls and not _local(parts.hostname):
        raise StateError(
            f"{URL_VARIABLE} would send an admin's key in clear text to {parts.hostname}",
            "use https, or a tunnel (ssh -L 8081:127.0.0.1:8081) and http://127.0.0.1:8081",
        )
    return Where(parts.hostname, port or (443 if tls else 80), tls)


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
