"""The settings that say where something is: an engine, the database, the access log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from edge.config.leaves import Leaf, parsed, text
from edge.config.nodes import Scalar
from edge.config.problems import Wrong

_URL_TEXT: Final = re.compile(r"[!-~]{1,2048}\Z")
_PASSWORD: Final = re.compile(r"[^/:@]*:[^/]*@")
_TEXT: Final = text()
_EXAMPLE: Final = "http://127.0.0.1:8000"


def engine_url(url: str) -> str:
    """Check an engine's URL and bring it into the contract's form: no trailing slash. Raises Wrong.

    Credentials in it would end up in logs. A query or an escape would be joined to the adapter's constant paths, and
    the path the engine sees must be the one that was decided on (facts F1). Messages do not repeat the text: it may
    hold a password.
    """
    if not _URL_TEXT.match(url) or "\\" in url:
        raise Wrong("must be a URL of printable ASCII characters", _EXAMPLE)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Wrong("is not a valid URL", _EXAMPLE) from None
    if "@" in parts.netloc:
        raise Wrong("must not carry credentials; the engine's key goes into `api_key_file`")
    if any(part in url for part in ("?", "#", "%", "..")) or port == 0:
        raise Wrong("must not have a query, a fragment, an escape, `..` or port 0")
    return _by_scheme(parts, url)


def _by_scheme(parts: SplitResult, url: str) -> str:
    match parts.scheme:
        case "http" | "https" if parts.hostname and "//" not in parts.path:
            return url.rstrip("/")
        case "http" | "https":
            raise Wrong("must have a host and no empty path segment", _EXAMPLE)
        case "unix" if url.startswith("unix:///") and parts.path.strip("/"):
            return f"unix://{parts.path}"
        case "unix":
            raise Wrong("must be an absolute path after unix://", "unix:///run/engine.sock")
        case _:
            raise Wrong("must begin with http://, https:// or unix://", _EXAMPLE)


_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]{0,31})://(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(?::([1-9][0-9]{0,4}))?", re.ASCII
)
_USUAL: Final = {"http": "80", "https": "443"}
_MAX_PORT: Final = 65535
_EXAMPLE_ORIGIN: Final = "https://app.example:8443"


def origin(spelt: str) -> str:
    """An origin exactly as browsers send it (RFC 6454 6.2), since it is compared letter by letter. Raises Wrong."""
    if "*" in spelt or spelt.lower() in {"null", "file://"}:
        # Sandboxed frames and pages from files all have the origin `null`: whoever can show a page is one of them.
        raise Wrong("must be one exact origin: no wildcards, no `null`", _EXAMPLE_ORIGIN)
    lower = spelt.lower().rstrip("/")
    match = _ORIGIN.fullmatch(lower)
    if match is None:
        raise Wrong("must be an origin: scheme://host or scheme://host:port, without a path", _EXAMPLE_ORIGIN)
    scheme, host, port = match.groups()
    if port is not None and int(port) > _MAX_PORT:
        raise Wrong("must have a port up to 65535", _EXAMPLE_ORIGIN)
    meant = f"{scheme}://{host}" if port is None or port == _USUAL.get(scheme) else lower
    if spelt != meant:
        raise Wrong("is not how browsers spell it", meant)
    return spelt


def _database(scalar: Scalar, folder: Path) -> str:
    """Only the kind is checked here; the store says the rest. A relative SQLite path starts at the file's folder."""
    _TEXT.read(scalar, folder)
    scheme, separator, rest = scalar.text.partition("://")
    kind = scheme.partition("+")[0]
    if not separator or kind not in {"sqlite", "postgresql"}:
        raise Wrong("must be the URL of a SQLite or PostgreSQL database", "sqlite:////var/lib/llm-gateway/gateway.db")
    if _PASSWORD.match(rest) and not scalar.from_env:
        raise Wrong("a password may not stand in the configuration file", "${DATABASE_URL}")
    relative = kind == "sqlite" and rest.startswith("/") and not rest.startswith(("//", "/:memory:"))
    return f"{scheme}:///{folder.absolute() / rest[1:]}" if relative and rest != "/" else scalar.text


def _redis(scalar: Scalar, folder: Path) -> str:
    """Only the kind is checked here; redis-py says the rest."""
    _TEXT.read(scalar, folder)
    scheme, separator, rest = scalar.text.partition("://")
    if not separator or not rest or scheme not in {"redis", "rediss", "unix"}:
        raise Wrong("must be the URL of a Redis", "redis://127.0.0.1:6379/0")
    if _PASSWORD.match(rest) and not scalar.from_env:
        raise Wrong("a password may not stand in the configuration file", "${REDIS_URL}")
    return scalar.text


def _access_log(scalar: Scalar, folder: Path) -> str:
    _TEXT.read(scalar, folder)
    if scalar.text in {"stderr", "off"}:
        return scalar.text
    if scalar.text in {"stdout", "none", "false"}:
        raise Wrong("must be stderr, off or the path of a file", "stderr" if scalar.text == "stdout" else "off")
    return str(folder.absolute() / Path(scalar.text).expanduser())


ENGINE_URL: Final = parsed(engine_url)
ORIGIN: Final = parsed(origin)
DATABASE: Final = Leaf(_database, {"type": "string", "minLength": 1})
REDIS: Final = Leaf(_redis, {"type": "string", "minLength": 1})
ACCESS_LOG: Final = Leaf(_access_log, {"type": "string", "minLength": 1})
