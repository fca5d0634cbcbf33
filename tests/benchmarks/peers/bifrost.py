"""Bifrost: one process of its `bifrost-http`, with the settings of a file alone and no store behind it.

On: a virtual key, which each request must have, and what its governance counts for it. Off: the log of requests, its
stores (configuration, logs), its pages. One processor (GOMAXPROCS), as the others have one worker.

Nothing installs it: no registry has the program (docs/decisions/0045). These settings are written from its
documentation and have not been tried; test_peers.py tries them as soon as there is a program.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policies.json import Object
from tests.benchmarks.contenders import Contender
from tests.benchmarks.nginx import free_port
from tests.benchmarks.origin import MODEL
from tests.benchmarks.peers.peer import CACHE, Peer, running
from tests.system.process import ROOT

_PROGRAM: Final = CACHE / "bifrost" / "bifrost-http"


def version() -> str | None:
    """`unknown`: the program does not say it without being run. None where it is not there."""
    return "unknown" if _PROGRAM.exists() else None


@contextmanager
def bifrost(folder: Path, target: int) -> Iterator[Contender]:
    """Bifrost in front of loopback port `target`."""
    folder.mkdir(parents=True)
    port, key = free_port(), f"sk-bf-{secrets.token_hex(16)}"
    (folder / "config.json").write_text(json.dumps(configuration(target, key)))
    command = (str(_PROGRAM), "-app-dir", str(folder), "-host", "127.0.0.1", "-port", str(port), "-log-level", "error")
    with running(folder, command, port, {"GOMAXPROCS": "1"}) as process:
        yield Contender("bifrost", port, key, process.resident, process.started_in)


def configuration(target: int, key: str) -> Object:
    """Its config.json: MODEL at loopback port `target`, for callers with `key`."""
    engine: Object = {
        "keys": [{"name": "none", "value": "none", "models": ["*"], "weight": 1.0}],
        "network_config": {"base_url": f"http://127.0.0.1:{target}", "max_retries": 0},
    }
    allowed: Object = {"provider": "openai", "allowed_models": [MODEL], "key_ids": ["*"], "weight": 1.0}
    return {
        "client": {"enable_logging": False, "enforce_auth_on_inference": True},
        "config_store": {"enabled": False},
        "logs_store": {"enabled": False},
        "providers": {"openai": engine},
        "governance": {"virtual_keys": [{"id": "bench", "name": "bench", "value": key, "provider_configs": [allowed]}]},
    }


BIFROST: Final = Peer(
    "bifrost",
    version,
    bifrost,
    f"put its program at {_PROGRAM.relative_to(ROOT)} (docs/decisions/0045: no registry has it)",
    checks_keys=True,
)
