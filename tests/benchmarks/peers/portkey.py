"""Portkey's gateway: one Node.js process, its open edition from npm, with no page and no log viewer (`--headless`).

On: reading the request, choosing the provider, its engine's dialect. It has no more of what ours does: keys, limits,
policy and a ledger are of Portkey's cloud, and metrics and traces are not in this edition.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policies.json import as_str
from tests.benchmarks.contenders import Contender
from tests.benchmarks.nginx import free_port
from tests.benchmarks.peers.peer import CACHE, Peer, running

_PACKAGE: Final = CACHE / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
_PRELOAD: Final = Path(__file__).with_name("portkey.cjs")


def version() -> str | None:
    """As its package says, where it and a Node.js are there."""
    package = _PACKAGE / "package.json"
    if not package.exists() or shutil.which("node") is None:
        return None
    return as_str(json.loads(package.read_text())["version"])


@contextmanager
def portkey(folder: Path, target: int) -> Iterator[Contender]:
    """Portkey in front of loopback port `target`."""
    folder.mkdir(parents=True)
    port = free_port()
    program = _PACKAGE / "build" / "start-server.js"
    command = ("node", "--require", str(_PRELOAD), str(program), "--headless", f"--port={port}")
    environment = {"NODE_ENV": "production", "PEER_ENGINE": f"http://127.0.0.1:{target}/v1"}
    with running(folder, command, port, environment) as process:
        yield Contender("portkey", port, "sk-benchmark", process.resident, process.started_in)


PORTKEY: Final = Peer("portkey", version, portkey, "make bench-peers (needs Node.js and npm)", checks_keys=False)
