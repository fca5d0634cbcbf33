"""What a peer is, and how its process is run."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import psutil

from tests.benchmarks.contenders import Contender
from tests.benchmarks.nginx import listens
from tests.benchmarks.origin import MODEL
from tests.system.memory import resident
from tests.system.process import ROOT

CACHE: Final = ROOT / ".cache" / "peers"
"""Where requirements/peers.sh installs."""
START_DEADLINE: Final = 180.0
"""Seconds. LiteLLM takes 10 on two quiet processors, and 30 on busy ones."""
_STOP_DEADLINE: Final = 10.0
_TAIL: Final = 2_000
_ASKED: Final = 5


class PeerDown(Exception):
    """A peer ended, did not listen in time, or refused a chat. The text ends with the end of what it said."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that listens: the bytes it takes, and the seconds from its command to its open port."""

    resident: Callable[[], int]
    started_in: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Another gateway. `with peer(folder, target) as contender` runs it in front of the engine at loopback port
    `target`, with its files in `folder`, and ends it; PeerDown where it does not come up, or does not answer a chat."""

    name: str
    version: Callable[[], str | None]
    """The version that is installed; None where none is."""
    front: Callable[[Path, int], AbstractContextManager[Contender]]
    advice: str
    """How to install it."""
    checks_keys: bool
    """Whether a request with another key is refused."""

    @contextmanager
    def __call__(self, folder: Path, target: int) -> Iterator[Contender]:
        with self.front(folder, target) as contender:
            _until_it_answers(contender)
            yield contender


@contextmanager
def running(folder: Path, command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[Running]:
    """Run `command` until the block ends, from when it listens on loopback `port`.

    Of our environment it sees PATH and LANG only: a DATABASE_URL, a proxy or a provider's key of the developer's would
    change what is measured, and be sent about. What it writes is in `folder`/log.

    It works in a folder two below: LiteLLM imports modules from two above the one it works in, before any others. In
    /tmp that is whatever scripts lie there.
    """
    path = folder / "log"
    within = folder / "works" / "here"
    within.mkdir(parents=True)
    begun = time.monotonic()
    with path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=within,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(within), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _until_it_listens(process, port, path)
        yield Running(partial(_resident, process.pid), time.monotonic() - begun)
    finally:
        _end(process)


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while not listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            how = "did not listen in time" if process.returncode is None else f"ended with {process.returncode}"
            raise PeerDown(f"{how}: {log.read_text(errors='replace')[-_TAIL:]}")
        time.sleep(0.02)


def _until_it_answers(contender: Contender) -> None:
    """A peer that is set up wrongly refuses, and refusals are quick; and LiteLLM loads half of itself with its first
    request, which is not what is measured."""
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello?"}]}
    headers = {"Authorization": f"Bearer {contender.key}", "Content-Type": "application/json"}
    for _ in range(_ASKED):
        connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=START_DEADLINE)
        with closing(connection):
            connection.request("POST", "/v1/chat/completions", json.dumps(chat), headers)
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != HTTPStatus.OK:
            raise PeerDown(f"{contender.name} answers {answer.status}: {body[:_TAIL].decode(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Politely, then by force, with whatever it started (its session is its own)."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_DEADLINE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP_DEADLINE)


def _resident(pid: int) -> int:
    """Bytes; 0 once it is gone."""
    with suppress(psutil.NoSuchProcess):
        return resident(pid)
    return 0
