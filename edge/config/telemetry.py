"""The settings of the records: what is written down, what is sent to a collector, and which traces are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge.config import leaves
from edge.config.leaves import Leaf, parsed
from edge.config.nodes import Scalar
from edge.config.problems import Wrong
from edge.config.shapes import setting
from edge.config.targets import ACCESS_LOG, engine_url
from observability.captures.settings import CaptureSettings

_LINE: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}):[ \t]*([!-~](?:[ -~]{0,8190}[!-~])?)[ \t]*", re.ASCII)
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"}
)
_MAX_FILE: Final = 64 * 1024


class LogFormat(StrEnum):
    """What the lines on stderr look like."""

    AUTO = "auto"
    JSON = "json"
    HUMAN = "human"


class LogLevel(StrEnum):
    """The least important thing that the process's own log tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class OtlpProtocol(StrEnum):
    """How OTLP messages are written."""

    PROTOBUF = "protobuf"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class HeaderFile:
    """A file of headers, as read: what they say is nobody's business, where they stand may be shown."""

    path: Path
    headers: Mapping[str, str] = field(repr=False)


def _read_headers(scalar: Scalar, folder: Path) -> HeaderFile:
    path = folder / Path(str(_PATH.read(scalar, folder)))
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE).decode("ascii")
    except UnicodeDecodeError:
        raise Wrong("the file must hold ASCII lines `name: value`") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise Wrong(f"the file cannot be read: {reason}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[1].lower() in {*_OURS, *found}:
            raise Wrong(
                f"line {number} of the file is not `name: value`, or names a header a second time or one of ours"
            )
        found[match[1].lower()] = match[2]
    return HeaderFile(path, found)


def _collector(url: str) -> str:
    """As an engine's URL, but never a socket. Raises Wrong."""
    if not url.startswith(("http://", "https://")):
        raise Wrong("must begin with http:// or https://", "http://127.0.0.1:4318")
    url = engine_url(url)
    if url.endswith(("/v1/traces", "/v1/metrics", "/v1/logs")):
        raise Wrong("must end before /v1/...: each signal has a path of its own", url.rpartition("/v1/")[0])
    return url


_PATH: Final = leaves.path()
_OTLP_URL: Final = parsed(_collector)
_HEADERS: Final = Leaf(_read_headers, _PATH.schema, lambda value: str(getattr(value, "path", "")))


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is written down."""

    access_log: str = setting("stderr", "one line per request: `stderr`, `off` or a file", leaf=ACCESS_LOG)
    access_log_bytes: int = setting(
        64 * 1024 * 1024, "such a file becomes FILE.1 at this size; 0 = never", leaf=leaves.size(0, 1 << 40)
    )
    access_log_keep: int = setting(5, "how many of FILE.1, FILE.2, ... are kept", leaf=leaves.integer(1, 1000))
    log_level: LogLevel = setting(LogLevel.INFO, "what the process's own log tells: this and what is worse")
    log_format: LogFormat = setting(
        LogFormat.AUTO, "of the lines on stderr: `json`, `human`; `auto`: human where it is a terminal"
    )
    capture: CaptureSettings = setting(
        CaptureSettings(), "of prompts and answers, where the policy's obligation `capture` says so"
    )
    otlp: str | None = setting(
        None,
        "a collector of traces, metrics and logs, by OTLP over HTTP: http://host:4318; null = none",
        leaf=_OTLP_URL,
    )
    otlp_protocol: OtlpProtocol = setting(OtlpProtocol.PROTOBUF, "how messages are written")
    otlp_headers_file: HeaderFile | None = setting(
        None, "a file of `name: value` lines that are sent along, for a collector that wants a token", leaf=_HEADERS
    )
    otlp_ca_file: Path | None = setting(None, "a PEM file of the authorities to trust for it; null = the system's")
    otlp_interval: float = setting(
        10.0, "how often metrics are sent, and how long traces and logs may wait", leaf=leaves.seconds(0.1, 3600)
    )
    sample: float = setting(0.1, "the share of traces that is kept", leaf=leaves.number(0, 1))
    slow: float = setting(10.0, "requests that took so long are kept beyond that, as are errors and denials")
    kept_rate: float = setting(20.0, "how many a second of each of these", leaf=leaves.number(0, 10_000))
    trusted_rate: float = setting(
        100.0, "how many traces a second trusted callers may sample, beyond the share", leaf=leaves.number(0, 10_000)
    )

    def __post_init__(self) -> None:
        if self.otlp is None and (self.otlp_headers_file is not None or self.otlp_ca_file is not None):
            raise ValueError("otlp_headers_file and otlp_ca_file need otlp")
