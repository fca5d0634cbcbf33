"""File descriptors: each caller's connection may need one of its own and one to an engine."""

from __future__ import annotations

import logging
import resource
from typing import Final

_log = logging.getLogger(__name__)
_OTHER: Final = 128
"""Database, logs, pipes, JWKS fetches, and spare."""


def needed(connections: int) -> int:
    """How many descriptors `connections` callers may take, with a connection to an engine for each."""
    return 2 * connections + _OTHER


def raise_limit(connections: int) -> None:
    """Raise this process's soft limit as far as needed and allowed; macOS starts programs with 256.

    Without it the connection caps would promise more than the process can hold, and `accept` would fail first.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = needed(connections)
    if soft == resource.RLIM_INFINITY or soft >= want:
        return
    reach = want if hard == resource.RLIM_INFINITY else min(want, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reach, hard))
    except (ValueError, OSError):
        reach = soft
    if reach < want:
        _log.warning(
            "only %d file descriptors are allowed, %d may be needed: raise the limit (ulimit -n %d) "
            "or lower `limits.connections`",
            reach,
            want,
            want,
        )
