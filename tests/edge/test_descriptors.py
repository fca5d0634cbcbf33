"""The connection caps must not promise more than the process can hold."""

from __future__ import annotations

import logging
import resource

import pytest

from edge.descriptors import needed, raise_limit


class Limits:
    """The process's limits, without changing them."""

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)

    def get(self, _: int) -> tuple[int, int]:
        return self.now

    def set(self, _: int, limits: tuple[int, int]) -> None:
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "after", "warned"),
    [
        (256, 1 << 20, needed(1024), False),
        (256, resource.RLIM_INFINITY, needed(1024), False),
        (256, 1000, 1000, True),
        (4096, 4096, 4096, False),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, False),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed(
    soft: int, hard: int, after: int, *, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    with caplog.at_level(logging.WARNING):
        raise_limit(1024)
    assert limits.now[0] == after
    assert bool(caplog.records) is warned
