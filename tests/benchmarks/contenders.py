"""The same origin reached several ways: straight, through nginx, through the gateway, through its peers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil

from policies.json import JSON, Object
from tests.benchmarks import nginx
from tests.benchmarks.cores import Place, placed
from tests.benchmarks.origin import MODEL
from tests.benchmarks.samples import CONTROL, DIRECT
from tests.system.memory import resident
from tests.system.process import COMMAND, Gateway, configuration

if TYPE_CHECKING:
    from tests.benchmarks.peers.peer import Peer

_MOST: Final = 2**31 - 1
_SLOTS: Final = 4096


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to the origin. `resident` is the bytes of memory it takes right now, 0 where that means nothing;
    `started_in` the seconds from its command to its first open port."""

    name: str
    port: int
    key: str
    resident: Callable[[], int]
    started_in: float = 0.0


@dataclass(slots=True)
class Field:
    """The contenders that are up, and a line for each that is not."""

    contenders: list[Contender]
    notes: list[str]


@contextmanager
def field(
    folder: Path,
    target: int,
    *,
    peers: bool = False,
    connections: int = nginx.CONNECTIONS,
    place: Place = Place.CONTENDER,
) -> Iterator[Field]:
    """The ways to loopback port `target`, the gateway's with everything on; with `peers` those that are installed.
    `connections`: to callers and to the engine together; `place`: of the gateway and of its peers."""
    with ExitStack() as stack:
        found = Field([], [])
        control = stack.enter_context(nginx.proxy(folder / "control", target, connections=connections))
        ours = entrant(stack.enter_context(alone(folder, target, connections=connections, place=place)))
        found.contenders += [
            Contender(DIRECT, target, ours.key, lambda: 0),
            Contender(CONTROL, control.port, ours.key, partial(resident, control.pid), control.started_in),
            ours,
        ]
        if peers:
            _enter_peers(stack, found, folder, target, place)
        yield found


@contextmanager
def alone(
    folder: Path,
    target: int,
    command: tuple[str, ...] = COMMAND,
    *,
    connections: int = nginx.CONNECTIONS,
    place: Place = Place.CONTENDER,
) -> Iterator[Gateway]:
    """A gateway with everything on in front of `target`, started by `command`, and its collector."""
    with nginx.sink(folder / "collector") as collector:
        gateway = everything_on(folder / "gateway", target, collector.port, connections=connections)
        gateway.command = command
        with running(gateway, place):
            yield gateway


def entrant(gateway: Gateway) -> Contender:
    """A gateway as a contender, with a key of its own."""
    key = gateway.create_key("bench").secret
    return Contender("gateway", gateway.address[1], key, gateway.resident, gateway.started_in)


@contextmanager
def running(gateway: Gateway, place: Place = Place.CONTENDER) -> Iterator[Gateway]:
    """The gateway, up and ready."""
    try:
        with placed(place):
            gateway.start()
        yield gateway.ready()
    finally:
        gateway.kill()


def everything_on(
    folder: Path, target: int, collector: int, *, connections: int = nginx.CONNECTIONS, **changes: JSON
) -> Gateway:
    """A gateway in front of `target` that does all it can for each request: the embedded policy with a grant, limits
    that count and are never reached, the ledger on disk, metrics, an access line, one trace in a hundred to a
    collector.

    What would end a load test is out of the way: the caps per source, the line in front of the engine. An engine has
    4,096 slots at the most; where more `connections` are wanted it is there under several names.
    """
    engines: list[JSON] = [
        {"name": f"engine{number}", "kind": "openai", "url": f"http://127.0.0.1:{target}", "concurrency": _SLOTS}
        for number in range(-(-connections // (2 * _SLOTS)))
    ]
    sections: Object = {
        "engines": {"discover": False, "list": engines},
        "listener": {
            "limits": {"connections": 16_384, "connections_per_source": 16_384, "unauthenticated_share": 1.0},
        },
        "queue": {"limit": 16_384, "share": 1.0, "in_flight_per_caller": 16_384, "queued_per_caller": 16_384},
        "policy": {"engine": "embedded", "grants": [{"id": "bench", "models": [MODEL], "everyone": True}]},
        "limits": {
            "classes": {"default": {"rpm": _MOST, "tpm": _MOST, "tpd": _MOST, "concurrency": 16_384}},
            "rules": [{"name": "month", "per": "owner", "tokens": {"month": _MOST}}],
        },
        "telemetry": {"access_log": "access.log", "otlp": f"http://127.0.0.1:{collector}", "sample": 0.01},
    }
    return Gateway(folder, configuration(f"http://127.0.0.1:{target}", **(sections | changes)))


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


def versions() -> Object:
    """Of the peers that are installed."""
    return {peer.name: peer.version() for peer in _peers()}


def _peers() -> Sequence[Peer]:
    from tests.benchmarks.peers import installed  # late: they import this module

    return installed()


def _enter_peers(stack: ExitStack, found: Field, folder: Path, target: int, place: Place) -> None:
    from tests.benchmarks.peers import missing

    found.notes.extend(missing())
    for peer in _peers():
        try:
            with placed(place):
                contender = stack.enter_context(peer(folder / peer.name, target))
        except Exception as problem:  # noqa: BLE001 - of another project's program: the run goes on without it
            found.notes.append(f"{peer.name} did not start: {str(problem).strip().splitlines()[-1]}")
            continue
        found.contenders.append(contender)


class Meter:
    """Reads the processor time of a contender and of its children, from when it is made; of the direct way: of none.

    Only processes that this one has started are looked at, which needs no rights anywhere.
    """

    def __init__(self, contender: Contender) -> None:
        started = psutil.Process().children(recursive=True) if contender.name != DIRECT else []
        self._family = next((_family(each) for each in started if _has(each, contender.port)), [])

    def seconds(self) -> float:
        """So far."""
        used = 0.0
        for process in self._family:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used


def _has(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(each.status == "LISTEN" and each.laddr.port == port for each in process.net_connections("tcp"))
    return False


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


class Watch:
    """Calls `look` every so many seconds while entered, in a thread of its own."""

    def __init__(self, look: Callable[[], None], every: float) -> None:
        self._look = look
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Peak(Watch):
    """The highest value of `read` while entered, looked at every 50 ms."""

    def __init__(self, read: Callable[[], int]) -> None:
        super().__init__(self._note, 0.05)
        self._read = read
        self.value = 0

    def _note(self) -> None:
        self.value = max(self.value, self._read())
