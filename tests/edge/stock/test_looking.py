"""What was just done is seen in the listings before the answer ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from edge.stock import looking
from edge.stock.looking import seen
from engines.contract import Engine, Kind, Model, Target

TARGET = Target(Engine("e", Kind.OLLAMA, "http://127.0.0.1:1", 1), Model("m", "m"))


class Looks:
    """Answers one after the other; the last one for ever."""

    def __init__(self, *answers: Sequence[Target]) -> None:
        self.answers = deque(answers)
        self.asked: list[str] = []

    async def look_again(self, model: str) -> tuple[Target, ...]:
        self.asked.append(model)
        return tuple(self.answers.popleft() if len(self.answers) > 1 else self.answers[0])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_POLL", 0.0)
    monkeypatch.setattr(looking, "_WITHIN", 0.05)


async def test_it_looks_until_it_is_there() -> None:
    looks = Looks((), (), (TARGET,))
    assert await seen(looks, "m")
    assert looks.asked == ["m", "m", "m"]


async def test_it_looks_until_it_is_gone() -> None:
    assert await seen(Looks((TARGET,), ()), "m", lambda found: TARGET not in found)


async def test_it_does_not_look_for_ever() -> None:
    looks = Looks(())
    assert not await seen(looks, "m")
    assert len(looks.asked) > 1
