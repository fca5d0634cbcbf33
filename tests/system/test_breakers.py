"""Two engines have the model, the first of which wins ties: what makes it pass for failing, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from policies.json import JSON
from tests.system.calls import CHAT, chat
from tests.system.conftest import Launch
from tests.system.misbehaviour import ERROR_SHAPES
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, always

_FAILS, _REFUSED, _HANGS = "fails-marked", "refused-marked", "hangs-marked"
"""What the first engine does with a request that holds it."""


@dataclass(frozen=True, slots=True)
class House:
    """Who fails at once is always idle: without a breaker `first` would get everything."""

    gateway: Gateway
    first: RecordingEngine
    other: RecordingEngine

    def asks(self, key: Key, text: str = "fine") -> int:
        """The status."""
        return self.gateway.post(CHAT, chat(text), key.bearer).status

    def reaches_first(self, key: Key, text: str = "fine") -> bool:
        before = len(self.first.requests)
        self.asks(key, text)
        return len(self.first.requests) > before

    def gauge(self, scraper: Key) -> str:
        page = self.gateway.get("/metrics", scraper.bearer, admin=True).body.decode()
        lines = (line for line in page.splitlines() if line.startswith("llm_gateway_engine_breaker{"))
        return next((line.rpartition(" ")[2] for line in lines if "first" in line), "none")


@contextmanager
def _standing(launch: Launch, engine: RecordingEngine, **policy: JSON) -> Iterator[House]:
    with RecordingEngine() as first:
        engines: list[JSON] = [
            {"name": name, "kind": "openai", "url": url, "concurrency": 8}
            for name, url in (("first", first.url), ("other", engine.url))
        ]
        gateway = launch(engines={"discover": False, "list": engines}, policy=policy)
        first.when(_FAILS, ERROR_SHAPES["docker model runner, plain text 500"][0])
        first.when(_REFUSED, ERROR_SHAPES["openai, bad request"][0])
        first.when(_HANGS, always(Hold()))
        yield House(gateway, first, engine)


@pytest.fixture
def house(launch: Launch, engine: RecordingEngine) -> Iterator[House]:
    with _standing(launch, engine) as standing:
        yield standing


def test_who_fails_one_caller_is_passed_over_for_that_one_until_it_answers(house: House) -> None:
    key, neighbour = house.gateway.create_key("caller"), house.gateway.create_key("neighbour")
    scraper = house.gateway.create_key("scraper", "--scope", "metrics:read")
    assert [house.asks(key, _FAILS) for _ in range(12)] == [502] * 5 + [200] * 7
    assert len(house.first.requests) == 5
    assert len(house.other.requests) == 7
    assert house.reaches_first(neighbour)
    assert house.gauge(scraper) == "0"
    until(lambda: house.reaches_first(key), 30.0, "a request tries the engine again")
    assert house.reaches_first(key)


def test_who_fails_several_callers_is_passed_over_for_all(house: House) -> None:
    scraper = house.gateway.create_key("scraper", "--scope", "metrics:read")
    keys = [house.gateway.create_key(f"caller-{number}") for number in range(6)]
    assert [house.asks(key, _FAILS) for key in keys] == [502] * 5 + [200]
    assert house.gauge(scraper) == "1"
    until(lambda: house.reaches_first(keys[5]), 30.0, "a request tries the engine again")
    assert house.gauge(scraper) == "0"
    assert house.reaches_first(keys[5])


def test_who_takes_no_connection_is_passed_over_for_all_by_what_one_met(house: House) -> None:
    key, neighbour = house.gateway.create_key("caller"), house.gateway.create_key("neighbour")
    house.first.stop_listening()
    answers = [house.asks(key) for _ in range(6)]
    assert answers == sorted(answers, reverse=True)  # fewer than five where a probe found it gone before
    assert set(answers) <= {200, 502}
    assert answers[5] == 200
    assert house.asks(neighbour) == 200


def test_who_is_silent_for_as_long_as_the_policy_waits_is_passed_over(launch: Launch, engine: RecordingEngine) -> None:
    with _standing(launch, engine, answer_timeout="1s") as house:
        key = house.gateway.create_key("caller")
        assert [house.asks(key, _HANGS) for _ in range(6)] == [504] * 5 + [200]


def test_a_trial_that_is_refused_leaves_it_to_the_next_request(house: House) -> None:
    key = house.gateway.create_key("caller")
    for _ in range(5):
        house.asks(key, _FAILS)
    until(lambda: house.reaches_first(key, _REFUSED), 30.0, "a request tries the engine again")
    assert house.reaches_first(key)
