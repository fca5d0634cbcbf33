"""sd_notify(3)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge.service.notify import tell


def test_the_state_is_one_datagram(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        tell({"NOTIFY_SOCKET": str(tmp_path / "notify")}, "READY=1")
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-here", "vsock:2:1234"])
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    tell({"NOTIFY_SOCKET": address}, "READY=1")
    tell({}, "READY=1")
