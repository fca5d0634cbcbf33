"""The exact routes, as data. Whatever is not in the tables is 404, so no engine route is ever reached by accident.

Matching is on the raw path (facts/security.md F1: `/v1/../api/pull` passed a prefix rule), by dictionary where the path
is fixed. Three parts vary: the engine's name in `/engines/{engine}/v1/...`, the model's name at the end of
`.../models/{id}`, which may hold `/` (`ai/smollm2:latest`), and a response's id in `.../responses/{response}`, which is
`resp_` and 32 hexadecimal digits.

Percent-encoding: openai-python 3.52 and openai-js 7.55 send `models.retrieve("ai/smollm2:360M")` as
`/v1/models/ai%2Fsmollm2:360M` (read in their `path_template` and `encodeURIPath`), other clients write `%3A` too. So in
that one part, and only there, the escapes of the four characters that a model's name can hold and URL libraries may
escape are decoded, once; what then still holds `%` or is no model's name is not a route. Nothing of it reaches an
engine's path: the name is only looked up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from policies.call import Dialect, Form, Operation
from policies.names import is_name


class Stored(StrEnum):
    """What is wanted of a response that was kept."""

    SHOW = "show"
    DELETE = "delete"
    ITEMS = "items"


@dataclass(frozen=True, slots=True)
class Route:
    """A matched route. `pattern` is for logs and metrics, never the raw path.

    `engine` is the name in the path, not yet known to exist; `model` is that in the path as the caller wrote it, ""
    where the body names it or none is meant. `counts`: only the prompt's tokens are wanted. `stored`: what is wanted of
    the kept `response`.
    """

    operation: Operation
    dialect: Dialect
    pattern: str
    engine: str | None = None
    model: str = ""
    counts: bool = False
    form: Form = Form.ONLY
    stored: Stored | None = None
    response: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table: below a mount point, `path` is a route; `{id}` may only end one, `{response}` may stand
    anywhere in one that is about a `stored` response."""

    method: str
    path: str
    operation: Operation
    dialect: Dialect = Dialect.OPENAI
    counts: bool = False
    form: Form = Form.ONLY
    stored: Stored | None = None


Mounts: TypeAlias = tuple[tuple[str, tuple[Entry, ...]], ...]

HEALTH: Final = "/healthz"
OPENAI: Final = (
    Entry("POST", "/chat/completions", Operation.CHAT),
    Entry("POST", "/completions", Operation.COMPLETIONS),
    Entry("POST", "/embeddings", Operation.EMBEDDINGS),
    Entry("GET", "/models", Operation.MODELS_LIST),
    Entry("GET", "/models/{id}", Operation.MODELS_SHOW),
)
RESPONSES: Final = (
    Entry("POST", "/responses", Operation.CHAT, Dialect.RESPONSES),
    Entry("POST", "/responses/input_tokens", Operation.CHAT, Dialect.RESPONSES, counts=True),
    Entry("GET", "/responses/{response}", Operation.CHAT, Dialect.RESPONSES, stored=Stored.SHOW),
    Entry("DELETE", "/responses/{response}", Operation.CHAT, Dialect.RESPONSES, stored=Stored.DELETE),
    Entry("GET", "/responses/{response}/input_items", Operation.CHAT, Dialect.RESPONSES, stored=Stored.ITEMS),
)
ANTHROPIC: Final = (
    Entry("POST", "/messages", Operation.CHAT, Dialect.ANTHROPIC),
    Entry("POST", "/messages/count_tokens", Operation.CHAT, Dialect.ANTHROPIC, counts=True),
)
_LISTINGS: Final = tuple(replace(entry, dialect=Dialect.ANTHROPIC) for entry in OPENAI if entry.method == "GET")
RANKING: Final = (Entry("POST", "/rerank", Operation.RERANK), Entry("POST", "/score", Operation.SCORE))
"""At the root as in vLLM and Docker Model Runner, and below `/engines` as in the latter."""
TOKENIZE: Final = (Entry("POST", "/tokenize", Operation.TOKENIZE, counts=True),)
"""Below `/v1` only: who asks an engine's `/tokenize` wants the tokens, and the gateway gives their number."""
OWN: Final = (Entry("GET", "/v1/me", Operation.ME),)
OLLAMA: Final = tuple(
    Entry(method, path, operation, Dialect.OLLAMA, form=form)
    for method, path, operation, form in (
        ("POST", "/api/chat", Operation.CHAT, Form.ONLY),
        ("POST", "/api/generate", Operation.CHAT, Form.GENERATE),
        ("POST", "/api/embed", Operation.EMBEDDINGS, Form.ONLY),
        ("POST", "/api/embeddings", Operation.EMBEDDINGS, Form.EMBEDDING),
        ("POST", "/api/show", Operation.MODELS_SHOW, Form.ONLY),
        ("POST", "/api/pull", Operation.MODELS_PULL, Form.ONLY),
        ("DELETE", "/api/delete", Operation.MODELS_DELETE, Form.ONLY),
        ("GET", "/api/tags", Operation.MODELS_LIST, Form.ONLY),
        ("GET", "/api/ps", Operation.MODELS_LIST, Form.LOADED),
        ("GET", "/api/version", Operation.ME, Form.VERSION),
        ("GET", "/", Operation.ME, Form.BANNER),
        ("HEAD", "/", Operation.ME, Form.BANNER),
    )
)
MODEL_RUNNER: Final = tuple(
    Entry(method, path, operation, Dialect.MODEL_RUNNER)
    for method, path, operation in (
        ("GET", "/models", Operation.MODELS_LIST),
        ("GET", "/models/{id}", Operation.MODELS_SHOW),
        ("POST", "/models/create", Operation.MODELS_PULL),
        ("DELETE", "/models/{id}", Operation.MODELS_DELETE),
    )
)
MOUNTS: Final[Mounts] = (
    ("", OWN + OLLAMA + MODEL_RUNNER + RANKING),
    ("/v1", OPENAI + RESPONSES + ANTHROPIC + RANKING + TOKENIZE),
    ("/anthropic/v1", ANTHROPIC + _LISTINGS),
    ("/engines", RANKING),
    ("/engines/v1", OPENAI + RESPONSES + ANTHROPIC + RANKING + TOKENIZE),
)
ENGINE_MOUNTS: Final[Mounts] = (("/v1", OPENAI + RESPONSES + ANTHROPIC + RANKING + TOKENIZE), ("", RANKING))
"""Below `/engines/{engine}`."""

_UNDER: Final = "/engines/{engine}"
_NEVER: Final = frozenset({("DELETE", "/models/purge")})
"""Model Runner deletes everything there: no model is called so."""
# `/engines/v1/...` is a mount point of its own, so no engine can be called `v1`.
_ENGINE: Final = re.compile(r"/engines/(?!v1/)([a-z0-9][a-z0-9._-]{0,63})(/.*)", re.ASCII | re.DOTALL)
_ID: Final = "{id}"
_RESPONSE: Final = "{response}"
_RESPONSE_ID: Final = r"(resp_[0-9a-f]{32})"
_ESCAPE: Final = re.compile(r"%(2[Ff]|3[Aa]|40|2[Bb])", re.ASCII)


class Routes:
    """The closed list of what exists, but for liveness (`is_health`), which is answered before anybody is known."""

    __slots__ = ("_below", "_plain")

    def __init__(self, mounts: Mounts = MOUNTS, engine_mounts: Mounts = ENGINE_MOUNTS) -> None:
        self._plain = _Table("", mounts)
        self._below = _Table(_UNDER, engine_mounts)

    def match(self, method: str, path: str) -> Route | None:
        """The route of `method` and raw `path` (no query), None if there is none: 404, whatever the method."""
        if (method, path) in _NEVER:
            return None
        route = self._plain.find(method, path)
        if route is not None:
            return route
        match = _ENGINE.fullmatch(path)
        if match is None:
            return None
        below = self._below.find(method, match[2])
        return None if below is None else replace(below, engine=match[1])


class _Table:
    """Routes with a fixed path by look-up, those that end in a model's name by their prefix, those about a response by
    their form."""

    __slots__ = ("_fixed", "_named", "_stored")

    def __init__(self, under: str, mounts: Mounts) -> None:
        self._fixed: dict[tuple[str, str], Route] = {}
        self._named: list[tuple[str, str, Route]] = []
        self._stored: list[tuple[str, re.Pattern[str], Route]] = []
        for mount, entries in mounts:
            for entry in entries:
                path = mount + entry.path
                route = Route(
                    entry.operation,
                    entry.dialect,
                    under + path,
                    counts=entry.counts,
                    form=entry.form,
                    stored=entry.stored,
                )
                if entry.stored is not None:
                    form = re.escape(path).replace(re.escape(_RESPONSE), _RESPONSE_ID)
                    self._stored.append((entry.method, re.compile(form, re.ASCII), route))
                elif path.endswith(_ID):
                    self._named.append((entry.method, path.removesuffix(_ID), route))
                else:
                    self._fixed[entry.method, path] = route

    def find(self, method: str, path: str) -> Route | None:
        route = self._fixed.get((method, path))
        if route is not None:
            return route
        for needed, prefix, named in self._named:
            if method == needed and path.startswith(prefix):
                model = _model_in(path[len(prefix) :])
                return None if model is None else replace(named, model=model)
        for needed, form, stored in self._stored:
            if method == needed and (match := form.fullmatch(path)):
                return replace(stored, response=match[1])
        return None


def is_health(method: str, path: str) -> bool:
    """Liveness: the one route that needs no credential."""
    return method == "GET" and path == HEALTH


def dialect_of(path: str) -> Dialect:
    """In which dialect to say no on a path that is no route: a guess by its beginning, OpenAI's if nothing fits."""
    if path == "/api" or path.startswith("/api/"):
        return Dialect.OLLAMA
    if path.startswith(("/anthropic/", "/v1/messages")):
        return Dialect.ANTHROPIC
    if path == "/models" or path.startswith("/models/"):
        return Dialect.MODEL_RUNNER
    return Dialect.OPENAI


def _model_in(text: str) -> str | None:
    name = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # `is_name` has no `%` in its alphabet, so a second layer of escapes (`%252F`) ends here.
    if not is_name(name) or any(part in {"", "."} for part in name.split("/")):
        return None
    return name
