"""A gateway with everything on, and what each play costs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policies.json import Object
from tests.budget.engine import MODEL, engine
from tests.budget.plays import PLAYS, Stage, samples
from tests.budget.remote import Post, Sample
from tests.system.process import Gateway, configuration

SAMPLES: Final = 12
_HOUR: Final = 3600
_NEVER: Final = 10**9
"""No limit is reached. All of them are counted."""
_OWNER: Final = "ann"


class CountError(Exception):
    """No two samples agree, so something else than the request was counted; or nothing was."""


def measure(folder: Path, workloads: Iterable[str] = PLAYS) -> dict[str, Sample]:
    """For each of them what it costs. Half a minute at most, whatever else the machine does. Raises CountError.

    The cost is what was seen most often: one request in a hundred is traced, a watch or a thread's beat falls into
    another, and the rest are equal to the last instruction.
    """
    with stage(folder) as played:
        return {workload: _usual(workload, samples(played, workload, SAMPLES)) for workload in workloads}


def _usual(workload: str, found: list[Sample]) -> Sample:
    (cost, times), *_ = Counter(sample.cost for sample in found).most_common(1)
    if not cost.instructions:  # CPython 3.12
        raise CountError("this Python does not report its instructions (frame.f_trace_opcodes)")
    if times == 1:
        raise CountError(f"{workload}: {sorted(sample.cost for sample in found)}")
    return next(sample for sample in found if sample.cost == cost)


def _configuration(port: int) -> Object:
    """Grants for the embedded policy engine, limits, the ledger, logs, metrics, and 1 % of the traces. Nothing is sent
    to the collector while it is measured: what is sent in batches is no part of a request."""
    return configuration(
        f"http://127.0.0.1:{port}",
        policy={"engine": "embedded", "grants": [{"id": "counted", "models": [MODEL], "everyone": True}]},
        limits={
            "classes": {"default": {"rpm": _NEVER, "concurrency": _NEVER}},
            "rules": [{"name": "month", "per": "owner", "owners": [_OWNER], "tokens": {"month": _NEVER}}],
        },
        telemetry={"access_log": "access.log", "otlp": "http://127.0.0.1:9", "otlp_interval": _HOUR, "sample": 0.01},
    )


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A gateway that counts."""
    post = Post()
    with engine() as behind:
        # Strings hash alike in every run, or dictionaries would collide here and not there.
        env = {"PYTHONHASHSEED": "0"}
        gateway = Gateway(folder, _configuration(behind.port), env, command=post.command)
        try:
            gateway.start().ready()
            with post.counting() as counting:
                key = gateway.create_key("counted", "--owner", _OWNER, "--tpd", str(_NEVER))
                unlimited = gateway.create_key("unlimited")
                counting.begin()
                yield Stage(counting, behind, key, unlimited, gateway.open)
        finally:
            gateway.kill()
