"""Every promise is kept on uvloop too, which differs from asyncio's own loop in how it closes, pauses and buffers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

SOCKETS = (
    "test_accepting.py",
    "test_connection.py",
    "test_link.py",
    "test_request.py",
    "test_server.py",
    "test_malformed.py",
)


async def test_the_socket_tests_pass_on_uvloop() -> None:
    here = Path(__file__).parent
    plugins = ["-p", "no:cacheprovider", "-p", "tests.edge.listener.on_uvloop"]
    command = [sys.executable, "-m", "pytest", "-q", "-n0", *plugins, *(str(here / module) for module in SOCKETS)]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=here.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
