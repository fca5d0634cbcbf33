"""The same origin reached three ways: straight, through nginx, through the gateway."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from policies.json import Object
from tests.benchmarks import nginx
from tests.system.process import ROOT, Gateway, configuration


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to the origin. `resident` is the bytes of memory it takes right now, 0 where that means nothing."""

    name: str
    port: int
    key: str
    resident: Callable[[], int]


@contextmanager
def field(folder: Path, target: int) -> Iterator[list[Contender]]:
    """The three ways to loopback port `target`."""
    with ExitStack() as stack:
        control = stack.enter_context(nginx.proxy(folder / "control", target))
        gateway = gateway_to(folder / "gateway", target)
        stack.callback(gateway.kill)
        gateway.start().ready()
        key = gateway.create_key("bench").secret
        yield [
            Contender("direct", target, key, lambda: 0),
            Contender("nginx", control.port, key, lambda: psutil.Process(control.pid).memory_info().rss),
            Contender("gateway", gateway.address[1], key, gateway.resident),
        ]


def gateway_to(folder: Path, target: int) -> Gateway:
    """A gateway in front of `target`, with its defaults but for what would end a load test: the caps per source."""
    engine: Object = {"url": f"http://127.0.0.1:{target}", "concurrency": 128}
    listener: Object = {"limits": {"connections_per_source": 1024, "unauthenticated_share": 1.0}}
    queue: Object = {"in_flight_per_caller": 1024, "share": 1.0}
    config = configuration(
        f"http://127.0.0.1:{target}",
        engine=engine,
        listener=listener,
        queue=queue,
        telemetry={"access_log": "access.log"},
    )
    return Gateway(folder, config)


@contextmanager
def streaming_origin() -> Iterator[int]:
    """The port of a running `origin.py`."""
    with subprocess.Popen(
        (sys.executable, "-m", "tests.benchmarks.origin"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class Peak:
    """The highest value of `read` while entered, looked at every 50 ms."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.value = 0

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.value = max(self.value, self._read())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
