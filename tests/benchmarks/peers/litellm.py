"""LiteLLM's proxy: one process, as its page "Best Practices for Production" has it (one uvicorn worker), quiet.

On: a key (the master key: keys of callers need PostgreSQL), the router over one engine, its own accounting of cost in
memory. Off: database, Redis, callbacks, retries, access log, its page for administrators, its OpenAPI pages, what it
would look up on the network at start.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from policies.json import Object
from tests.benchmarks.contenders import Contender
from tests.benchmarks.nginx import free_port
from tests.benchmarks.origin import MODEL
from tests.benchmarks.peers.peer import CACHE, Peer, running

_ENVIRONMENT: Final = {
    "LITELLM_MODE": "PRODUCTION",  # no .env of a folder above is read
    "LITELLM_LOG": "ERROR",  # uvicorn's, too: no access log
    **dict.fromkeys(
        # What it ships is read, and not looked up on the network.
        (f"LITELLM_LOCAL_{what}" for what in ("MODEL_COST_MAP", "ANTHROPIC_BETA_HEADERS", "AUTOROUTER_PRESETS")),
        "True",
    ),
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
}


def version() -> str | None:
    """Of the package in its virtual environment, where its command is there."""
    if not (CACHE / "litellm" / "bin" / "litellm").exists():
        return None
    found = [path.name for path in (CACHE / "litellm").glob("lib/python3.*/site-packages/litellm-*.dist-info")]
    return found[0].removeprefix("litellm-").removesuffix(".dist-info") if found else None


@contextmanager
def litellm(folder: Path, target: int) -> Iterator[Contender]:
    """LiteLLM in front of loopback port `target`."""
    folder.mkdir(parents=True)
    port, key = free_port(), f"sk-{secrets.token_hex(16)}"
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(configuration(target, key)))
    program = str(CACHE / "litellm" / "bin" / "litellm")
    command = (program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    with running(folder, command, port, _ENVIRONMENT) as process:
        yield Contender("litellm", port, key, process.resident, process.started_in)


def configuration(target: int, key: str) -> Object:
    """Its config.yaml: MODEL at loopback port `target`, for callers with `key`."""
    engine: Object = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{target}/v1", "api_key": "none"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": engine}],
        "litellm_settings": {"num_retries": 0, "request_timeout": 600},
        "general_settings": {"master_key": key},
    }


LITELLM: Final = Peer("litellm", version, litellm, "make bench-peers", checks_keys=True)
