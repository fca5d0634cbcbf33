"""`llm-gateway healthcheck` says by its exit code whether a gateway is there, and why not in one line on stderr."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.cli.healthcheck import ADMIN, main
from edge.config.settings import Settings
from tests.system.process import ROOT


@contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """A server that takes one request, answers with these bytes and hangs up; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            wire, _ = server.accept()
            with wire:
                wire.recv(4096)
                for piece in pieces:
                    wire.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10.0)


def test_the_address_is_that_of_the_configurations_default() -> None:
    assert str(Settings().admin.bind) == ADMIN


@pytest.mark.parametrize(
    ("pieces", "code", "says"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n{}",), 0, ""),
        ((b"HT", b"TP/1.1 2", b"00 OK\r\n\r\n{}"), 0, ""),
        ((b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b'{"why":"dra\x1bining"}'), 1, " 503 "),
        ((b"HTTP/1.1 2000 OK\r\n\r\n",), 1, "2000"),
        ((b"SSH-2.0-x 200\r\n",), 1, "says"),
        ((b"",), 1, "says"),
    ],
)
def test_only_a_200_is_healthy(
    pieces: tuple[bytes, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(*pieces) as address:
        assert main(["--admin", address]) == code
    err = capsys.readouterr().err
    assert says in err
    assert err.strip().isprintable()


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main(["--admin", f"127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == f"llm-gateway: 127.0.0.1:{port} does not answer (Connection refused)\n"


@pytest.mark.parametrize("address", ["8081", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":8081"])
def test_what_is_no_address_is_wrong_usage(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--admin", address]) == 2
    assert "is not HOST:PORT" in capsys.readouterr().err


def test_it_loads_next_to_nothing() -> None:
    """It runs every few seconds for as long as a container does."""
    code = "import sys, edge.cli.healthcheck; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"aiohttp", "yaml", "sqlalchemy", "orjson", "ssl", "asyncio", "email", "policies", "engines"}
