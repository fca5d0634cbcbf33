"""A key for looking. Given in the environment, or made for the owner of the state folder, without a step by hand.

Who may write the gateway's database may make keys anyway; so `top` and `tail` make one for themselves, that can only
look (`usage:read`), only by the admin listener, for an hour, and that is deleted when they end. Anybody who sits on
the gateway's port while it is away gets no more than that. (`compose` makes one with scope `admin` in the same way, and
only while the gateway runs: edge/running.py.)
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from edge.config.settings import ADMIN, Settings
from edge.identity.grant import Grant
from edge.identity.record import Status
from edge.identity.state import HOME_VARIABLE, StateError, state_home
from edge.identity.token import PREFIX
from policies.principal import Scope

if TYPE_CHECKING:
    from edge.identity.store.store import KeyStore

KEY_VARIABLE: Final = "LLM_GATEWAY_ADMIN_KEY"
KEY_FILE_VARIABLE: Final = "LLM_GATEWAY_ADMIN_KEY_FILE"
LIFE: Final = 3600.0
_LONGEST_KEY: Final = 16_384
_LONGEST_NAME: Final = 64
_KEYS: Final = (PREFIX, "eyJ")
"""How keys begin: ours, and JWTs (`{"` in base64)."""


class Access(Protocol):
    """A key, and how to get another one."""

    @property
    def key(self) -> str: ...
    @property
    def made(self) -> bool:
        """Whether it was made just for this, so that the gateway may not know it yet."""

    def renew(self) -> bool:
        """It is refused: another one takes its place; False if there is none."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Given:
    """A key that somebody gave. Implements `Access`."""

    made = False

    def __init__(self, key: str) -> None:
        self.key = key

    def renew(self) -> bool:
        """There is no other."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""


class Made:
    """A key made on entering and deleted on leaving. Implements `Access`. `name` says in listings who made it."""

    made = True

    def __init__(
        self,
        open_store: Callable[[], KeyStore],
        name: str,
        now: Callable[[], float] = time.time,
        *,
        scope: Scope = Scope.USAGE_READ,
    ) -> None:
        self._open = open_store
        self._name = name
        self._now = now
        self._scope = scope
        self._id = ""
        self.key = ""

    def renew(self) -> bool:
        """Make another one, and forget the one before."""
        self._delete()
        self._make()
        return True

    def __enter__(self) -> Self:
        self._make()
        return self

    def __exit__(self, *_: object) -> None:
        self._delete()

    def _make(self) -> None:
        store, now = self._open(), self._now()
        try:
            for record in store.list():  # what one that was killed has left behind
                if record.grant.name == self._name and record.status(now) is Status.EXPIRED:
                    _forget(store, record.id)
            record, token = store.create(
                Grant(self._name, scopes=(self._scope,), listeners=(ADMIN,), expires_at=now + LIFE)
            )
        finally:
            store.close()
        self._id, self.key = record.id, str(token.text)

    def _delete(self) -> None:
        if not self._id:
            return
        store = self._open()
        try:
            _forget(store, self._id)
        finally:
            store.close()
        self._id = ""


def _forget(store: KeyStore, key_id: str) -> None:
    from edge.identity.store.store import KeyNotFoundError

    with suppress(KeyNotFoundError):  # somebody was quicker: Compose calls a provider for several services at once
        store.delete(key_id)


def access(
    command: str,
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    scope: Scope = Scope.USAGE_READ,
) -> Access:
    """The key that is given, else one with `scope` to be made for `command`; making it raises StateError."""
    if given := given_key(environ):
        return Given(given)
    home, url = state_home(environ), settings.stores.database
    name = f"{command}@{_host()}"[:_LONGEST_NAME].strip()
    return Made(lambda: _open(home, url, scope), name, scope=scope)


def given_key(environ: Mapping[str, str]) -> str:
    """The key in `KEY_VARIABLE`, or in the file that `KEY_FILE_VARIABLE` names; "" if there is neither. StateError."""
    file = environ.get(KEY_FILE_VARIABLE, "")
    if environ.get(KEY_VARIABLE, "").strip() or not file:
        return environ.get(KEY_VARIABLE, "").strip()
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_LONGEST_KEY).decode("latin-1").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise StateError(f"the key file {file} cannot be read ({reason})", f"correct {KEY_FILE_VARIABLE}") from None
    if not text:
        raise StateError(f"the key file {file} is empty", "put a key with the right scope into it")
    if not text.startswith(_KEYS):
        # A foreign project's `.env` may name any file of this user's as the key, and where to send it.
        raise StateError(f"the key file {file} holds no key (lgw_..., or a JWT)", f"correct {KEY_FILE_VARIABLE}")
    return text


def _open(home: Path, url: str | None, scope: Scope) -> KeyStore:
    """The store of a gateway that has run. Never a new one: its first key would be made without being shown."""
    strange = StateError(
        f"no gateway has used the state folder {home} yet",
        f"point {HOME_VARIABLE} to the one of the gateway, or put a key with scope {scope.value} in {KEY_VARIABLE}",
    )
    if url is None and not (home / "gateway.db").exists():
        raise strange
    from edge.identity.store.opening import open_keys  # SQLAlchemy: 200 ms

    store = open_keys(home, url).store
    if store.untouched:
        store.close()
        raise strange
    return store


def _host() -> str:
    """This machine's name as far as it can be printed."""
    return "".join(c for c in socket.gethostname() if c.isprintable() and not c.isspace()) or "localhost"
