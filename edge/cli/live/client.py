"""The running gateway as commands beside it ask it: its admin listener, over the standard library.

A key that was made a moment ago is not known to the gateway yet: it looks into its database five times a second.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import orjson

from edge.cli.live.access import KEY_VARIABLE, Access
from edge.config.values import Bind
from policies.json import JSON, Object, as_object, as_str
from policies.lifecycle.text import clean
from policies.principal import Scope

_ANSWER: Final = 3.0
_WORK: Final = 15.0
"""Seconds for an answer to what is more than a look: a key is written down, engines are asked anew."""
SILENCE: Final = 30.0
"""Seconds without a line, of which the gateway sends one every ten, after which a stream is taken for dead."""
_LARGEST: Final = 1 << 22
_KNOWN: Final = 0.45
"""Seconds after which a new key is known as a rule: to ask earlier would count as a failure to authenticate."""
_PATIENCE: Final = 3.0
_PAUSE: Final = 0.4


class Away(Exception):
    """Nobody answers there, or the connection broke: to be tried again."""


class Refused(Exception):
    """The gateway says no; the text says what to do about it. `usage`: the fault is in what was asked."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Where:
    """An admin listener."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, bind: Bind) -> Where:
        """As this machine reaches it."""
        return cls(bind.reachable.host, bind.reachable.port)

    def connection(self, patience: float) -> http.client.HTTPConnection:
        """One, to be opened; whoever answers by TLS must be who the name says."""
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=patience)
        return http.client.HTTPConnection(self.host, self.port, timeout=patience)


class AdminClient:
    """`scope` is what the key is for. `clock` is monotonic."""

    def __init__(
        self,
        place: Where,
        access: Access,
        *,
        scope: Scope = Scope.USAGE_READ,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.place = place
        self._scope = scope
        self._access = access
        self._clock = clock
        self._sleep = sleep
        self._since = clock()
        self._known = False
        """Whether the gateway has accepted the present key."""

    def snapshot(self) -> Object:
        """GET /live. Away, Refused."""
        document = self._whole("GET", "/live")
        if document.get("object") != "live":
            raise Refused(f"what listens on {self.place} is no gateway of this kind")
        return document

    def models(self) -> Object:
        """GET /models. Away, Refused."""
        document = self._whole("GET", "/models")
        if document.get("object") != "models":
            raise Refused(f"what listens on {self.place} is no gateway of this kind")
        return document

    def requests(self, filters: Mapping[str, str]) -> Iterator[Object]:
        """GET /live/requests: lines, until Away or Refused. `watching` is the first."""
        query = f"?{urlencode(filters)}" if filters else ""
        yield from self._lines("GET", f"/live/requests{query}", None, SILENCE)

    def post(self, path: str, document: Object) -> Object:
        """The answer to a document. Away, Refused."""
        return self._whole("POST", path, document)

    def post_lines(self, path: str, document: Object, silence: float) -> Iterator[Object]:
        """The lines of the answer, until Away (as at its end) or Refused; `silence` is seconds without one."""
        yield from self._lines("POST", path, document, silence)

    def _whole(self, method: str, path: str, document: Object | None = None) -> Object:
        connection, response = self._ask(method, path, document, _ANSWER)
        with closing(connection):
            try:
                return _parse(response.read(_LARGEST))
            except (OSError, http.client.HTTPException) as error:
                raise Away(type(error).__name__) from None

    def _lines(self, method: str, path: str, document: Object | None, silence: float) -> Iterator[Object]:
        connection, response = self._ask(method, path, document, silence)
        with closing(connection):
            while True:
                try:
                    line = response.readline(_LARGEST)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    raise Away(type(error).__name__) from None
                if not line:
                    raise Away("the stream ended")
                yield _parse(line)

    def _ask(
        self, method: str, path: str, document: Object | None, patience: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """A connection with the head of a good answer. A key that has run out is renewed."""
        if self._access.made and not self._known:
            self._sleep(max(self._since + _KNOWN - self._clock(), 0.0))
        asked = self._clock()
        while True:
            connection, response = self._send(method, path, document, patience)
            if response.status == HTTPStatus.OK:
                self._known = True
                return connection, response
            with closing(connection):
                refused = self._refused(response)
            self._reconsider(response.status, refused, asked)

    def _reconsider(self, status: int, refused: Refused, asked: float) -> None:
        """After a no: wait a little where that may help, so that it is worth while to ask again; else raise it."""
        now = self._clock()
        if status == HTTPStatus.UNAUTHORIZED and self._access.made:
            if self._known and self._access.renew():
                self._known, self._since = False, now
                self._sleep(_KNOWN)
            elif now - self._since < _PATIENCE:
                self._sleep(_PAUSE)
            else:
                raise refused
        elif status == HTTPStatus.TOO_MANY_REQUESTS and now - asked < _PATIENCE:
            self._sleep(_PAUSE)
        else:
            raise refused

    def _send(
        self, method: str, path: str, document: Object | None, patience: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self.place.connection(_ANSWER if document is None else _WORK)
        headers = {"Authorization": f"Bearer {self._access.key}"}
        if document is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if document is None else orjson.dumps(document), headers)
            response = connection.getresponse()
            if connection.sock is not None:
                connection.sock.settimeout(patience)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Away(type(error).__name__) from None
        except ValueError:  # a key with a line break in it
            connection.close()
            raise Refused(f"what stands in {KEY_VARIABLE} is no key") from None
        return connection, response

    def _refused(self, response: http.client.HTTPResponse) -> Refused:
        """What the answer means for who typed the command."""
        try:
            document = _parse(response.read(_LARGEST))
        except (OSError, http.client.HTTPException, Away) as error:
            raise Away(type(error).__name__) from None
        said = clean(as_str(as_object(document.get("error")).get("message")), 300)
        if response.status == HTTPStatus.UNAUTHORIZED and self._access.made:
            said = (
                f"the gateway on {self.place} does not know the keys of this state folder: use the --config and "
                f"$LLM_GATEWAY_HOME of its `up`, or put a key with scope {self._scope.value} in ${KEY_VARIABLE}"
            )
        elif response.status == HTTPStatus.FORBIDDEN:
            enough = "admin" if self._scope is Scope.ADMIN else f"{self._scope.value} (or admin)"
            said = f"the key in ${KEY_VARIABLE} is not enough: it needs scope {enough}. {said}"
        return Refused(said or f"status {response.status}", usage=response.status == HTTPStatus.BAD_REQUEST)


def _parse(text: bytes) -> Object:
    try:
        document: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Away("something else answers there") from None
    return as_object(document)
