"""nginx, one worker: as origin with a canned answer, and as the control that only proxies."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.cores import Place, placed
from tests.benchmarks.origin import MODEL

CONNECTIONS: Final = 4096

CANNED = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    }
)
_MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "b"}]})

_FRAME = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log {access_log}; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000; tcp_nodelay on; client_max_body_size 64m; client_body_buffer_size 2m;
  {body}
}}
"""
_ORIGIN = """
  server {{
    listen 127.0.0.1:{port} backlog=1024; keepalive_requests 1000000;
    location = /v1/models {{ return 200 '{models}'; }}
    location / {{ return 200 '{canned}'; }}
  }}
"""
_SINK = """
  server {{ listen 127.0.0.1:{port}; keepalive_requests 1000000; location / {{ return 200; }} }}
"""
_PROXY = """
  upstream origin {{ server 127.0.0.1:{target}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
"""
_REFUSING: Final = """
  limit_req_zone $server_port zone=spent:1m rate=1r/m; limit_req_status 429; limit_req_log_level info;
  upstream origin {{ server 127.0.0.1:{target}; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ limit_req zone=spent; proxy_pass http://origin; }} }}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx."""

    port: int
    pid: int
    started_in: float


def missing() -> str:
    """What to say of the programs that every benchmark needs and that are not there; "" if all are."""
    names = [name for name in ("nginx", "wrk", "go") if shutil.which(name) is None]
    return f"missing: {', '.join(names)}. `sh requirements/system.sh bench` installs or names them" if names else ""


@contextmanager
def origin(folder: Path) -> Iterator[Nginx]:
    """Answers every POST with CANNED."""
    port = free_port()
    body = _ORIGIN.format(port=port, models=_MODELS, canned=CANNED)
    with _running(folder, port, body, access_log="off", place=Place.LOAD) as nginx:
        yield nginx


@contextmanager
def sink(folder: Path) -> Iterator[Nginx]:
    """Takes everything and says 200: a collector that costs nothing."""
    port = free_port()
    with _running(folder, port, _SINK.format(port=port), access_log="off", place=Place.LOAD) as nginx:
        yield nginx


@contextmanager
def proxy(folder: Path, target: int, *, connections: int = CONNECTIONS) -> Iterator[Nginx]:
    """Passes everything to loopback port `target`; writes an access log, as the gateway does. `connections`: to callers
    and to the target together."""
    port = free_port()
    body = _PROXY.format(port=port, target=target)
    with _running(
        folder, port, body, access_log=f"{folder}/access.log", place=Place.CONTENDER, connections=connections
    ) as nginx:
        yield nginx


@contextmanager
def refusing(folder: Path, target: int) -> Iterator[Nginx]:
    """Lets one request a minute pass to loopback port `target`; the others are 429."""
    port = free_port()
    body = _REFUSING.format(port=port, target=target)
    with _running(folder, port, body, access_log=f"{folder}/access.log", place=Place.CONTENDER) as nginx:
        yield nginx


@contextmanager
def _running(
    folder: Path, port: int, body: str, *, access_log: str, place: Place, connections: int = CONNECTIONS
) -> Iterator[Nginx]:
    folder.mkdir(parents=True)
    config = folder / "nginx.conf"
    config.write_text(_FRAME.format(folder=folder, body=body, access_log=access_log, connections=connections))
    started = time.monotonic()
    with placed(place):
        process = subprocess.Popen(("nginx", "-p", str(folder), "-c", str(config)), stderr=subprocess.DEVNULL)
    with process:
        try:
            while not listens(port):
                assert process.poll() is None, (folder / "error.log").read_text()
                time.sleep(0.002)
            yield Nginx(port, process.pid, time.monotonic() - started)
        finally:
            process.terminate()


def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that was free a moment ago; nginx cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
