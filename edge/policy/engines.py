"""Which engine decides: the settings, and what is installed, give a maker of engines for bundles."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from edge.config.settings import Policy, PolicyEngineKind
from edge.policy.errors import PolicyToolError
from policies.bundle import Bundle
from policies.opa.api import Place
from policies.opa.engine import ChildEngine
from policies.opa.programs import embedded, opa
from policies.opa.remote import RemoteEngine

Engine: TypeAlias = ChildEngine | RemoteEngine
Maker: TypeAlias = Callable[[Bundle], Engine]

_VERSION: Final = re.compile(r"^Version: (\d{1,4})\.(\d{1,4})", re.MULTILINE)
_OLDEST: Final = (1, 0)
_WITHIN: Final = 10.0
_INSTALL: Final = "`brew install opa`, or set `policy.engine: embedded`"


def maker(settings: Policy) -> Maker:
    """A maker of engines. Blocks for some 40 ms where there is an `opa`. PolicyToolError if the engine asked for is not
    there."""
    kind = settings.engine
    if kind is PolicyEngineKind.REMOTE or (kind is PolicyEngineKind.AUTO and settings.url is not None):
        return _remote(settings)
    program = find_opa(settings) if kind is not PolicyEngineKind.EMBEDDED else None
    if program is not None:
        local = opa(program, memory_bytes=settings.memory_bytes)
    elif kind is PolicyEngineKind.OPA:
        where = "on PATH" if settings.opa is None else f"at {settings.opa} (policy.opa)"
        raise PolicyToolError(f"no opa program of version 1 or newer is {where}", _INSTALL, usage=True)
    else:
        local = embedded(decision_seconds=settings.timeout, memory_bytes=settings.memory_bytes)
    return lambda bundle: ChildEngine(local, bundle, timeout=settings.timeout)


def embedded_maker(settings: Policy) -> Callable[[Bundle], ChildEngine]:
    """A maker of embedded engines, whatever the settings choose for the live policy."""
    program = embedded(decision_seconds=settings.timeout, memory_bytes=settings.memory_bytes)
    return lambda bundle: ChildEngine(program, bundle, timeout=settings.timeout)


def find_opa(settings: Policy) -> Path | None:
    """The `opa` program: the configured one, or the one on PATH; None if it is not there or older than version 1."""
    found = settings.opa or shutil.which("opa")
    if found is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 - the operator's own program
            [str(found), "version"], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=_WITHIN
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = _VERSION.search(said.stdout.decode(errors="replace"))
    return Path(found) if version and (int(version[1]), int(version[2])) >= _OLDEST else None


def _remote(settings: Policy) -> Maker:
    if settings.url is None:
        raise PolicyToolError("the remote engine has no address", "set `policy.url`", usage=True)
    token = None if settings.token is None else settings.token.reveal()
    try:
        place = Place(settings.url, token, settings.ca_file)
        place.check()
    except OSError as error:
        problem = f"policy.ca_file {settings.ca_file}: {error.strerror or type(error).__name__}"
        raise PolicyToolError(problem, "name a file with PEM certificates", usage=True) from None
    except ValueError as error:
        raise PolicyToolError(f"the remote OPA: {error}", "correct `policy.url`", usage=True) from None
    return lambda bundle: RemoteEngine(place, bundle if settings.push else None, timeout=settings.timeout)
