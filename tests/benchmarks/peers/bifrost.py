"""Bifrost: one process of its `bifrost-http`, built from its source (requirements/bifrost.sh).

On: a virtual key, which each request must have, what its governance counts for it, and its store of configuration
(SQLite), without which it has no keys. Off: the log of requests and its store, its pages, its list of prices. One
processor (GOMAXPROCS), as the others have one worker.
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

_PROGRAM: Final = CACHE / "bifrost" / "bifrost-http"
_VERSION: Final = _PROGRAM.with_name("version")
_COMMIT: Final = 7
_NOBODY: Final = 9
"""The port of `discard`: the list of prices is not fetched from its maker's host."""


def version() -> str | None:
    """Its release, with the start of the commit it was built from; `unknown` for a program that somebody put there.
    None where there is none."""
    if not _PROGRAM.exists():
        return None
    release, _, commit = _VERSION.read_text().strip().partition("+") if _VERSION.exists() else ("unknown", "", "")
    return f"{release}+{commit[:_COMMIT]}" if commit else release


@contextmanager
def bifrost(folder: Path, target: int) -> Iterator[Contender]:
    """Bifrost in front of loopback port `target`."""
    folder.mkdir(parents=True)
    port, key = free_port(), f"sk-bf-{secrets.token_hex(16)}"
    (folder / "config.json").write_text(json.dumps(configuration(target, key, folder / "config.db")))
    command = (str(_PROGRAM), "-app-dir", str(folder), "-host", "127.0.0.1", "-port", str(port), "-log-level", "error")
    with running(folder, command, port, {"GOMAXPROCS": "1"}) as process:
        yield Contender("bifrost", port, key, process.resident, process.started_in)


def configuration(target: int, key: str, store: Path) -> Object:
    """Its config.json: MODEL at loopback port `target`, for callers with `key`; `store` is the file of its database.

    MODEL is named wherever a list of models stands: no `*` is understood by all of them, and a model that only one
    provider of the key has needs no `openai/` in front.
    """
    engine: Object = {
        "keys": [{"name": "none", "value": "none", "models": [MODEL], "weight": 1.0}],
        "network_config": {"base_url": f"http://127.0.0.1:{target}", "max_retries": 0},
    }
    allowed: Object = {"provider": "openai", "allowed_models": [MODEL], "key_ids": ["*"], "weight": 1.0}
    return {
        "client": {"enable_logging": False, "enforce_auth_on_inference": True},
        "framework": {"pricing": {"pricing_url": f"http://127.0.0.1:{_NOBODY}/"}},
        "config_store": {"enabled": True, "type": "sqlite", "config": {"path": str(store)}},
        "logs_store": {"enabled": False},
        "providers": {"openai": engine},
        "governance": {"virtual_keys": [{"id": "bench", "name": "bench", "value": key, "provider_configs": [allowed]}]},
    }


BIFROST: Final = Peer(
    "bifrost", version, bifrost, "make bench-peers BIFROST_SOURCE=URL (docs/decisions/0045)", checks_keys=True
)
