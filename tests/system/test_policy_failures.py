"""An engine that dies, hangs or loses its policy is a no for whoever asks meanwhile, and never an open door."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from policies.json import JSON, as_str
from tests.system.calls import ASKED, CHAT, chat
from tests.system.policy_engines import KINDS, EngineUnderTest, engine_under_test
from tests.system.process import Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PRIVATE_MODEL

PRIVATE = PRIVATE_MODEL.lower()

# It reads a counter, so that no answer is ever kept and every request reaches the engine.
ONE_MODEL = f"""package gateway.authz

default allow := false

allow if {{
	input.model.resolved == "{ASKED}"
	input.usage.requests_min >= 0
}}

reasons contains {{"code": "model_not_permitted", "message": "", "public": false}} if not allow

decision := {{"allow": allow, "reasons": reasons, "obligations": {{}}, "grants": [], "revision": ""}}
"""


@contextmanager
def serving(
    under_test: EngineUnderTest, engine: RecordingEngine, folder: Path, text: str = ONE_MODEL, **policy: JSON
) -> Iterator[Gateway]:
    rules = folder / "policy"
    rules.mkdir()
    (rules / "access.rego").write_text(text)
    settings = under_test.policy(dir=str(rules), timeout="2s", **policy)
    queue: JSON = {"in_flight_per_caller": 64, "limit": 256}
    config = configuration(engine.url, policy=settings, queue=queue, engine={"concurrency": 64})
    gateway = Gateway(folder / "gateway", config, under_test.env)
    try:
        yield gateway.start().ready()
    finally:
        gateway.kill()


@pytest.fixture(params=KINDS)
def under_test(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineUnderTest]:
    with engine_under_test(str(request.param), tmp_path / "opa") as found:
        yield found


@pytest.fixture(params=["embedded", "opa"])
def child(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineUnderTest]:
    with engine_under_test(str(request.param), tmp_path / "opa") as found:
        yield found


class Load:
    """Callers who ask without a pause: for a model that they may have, and for one that they may not."""

    def __init__(self, gateway: Gateway, key: Key) -> None:
        self._gateway, self._key = gateway, key
        self._over = threading.Event()
        self._counts: dict[str, Counter[int]] = {ASKED: Counter(), PRIVATE: Counter()}
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(model,)) for model in (ASKED, PRIVATE) * 3]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30.0)

    def seen(self, model: str, status: int) -> int:
        with self._lock:
            return self._counts[model][status]

    def statuses(self, model: str) -> set[int]:
        with self._lock:
            return set(self._counts[model])

    def _run(self, model: str) -> None:
        while not self._over.is_set():
            status = self._gateway.post(CHAT, chat(model=model), self._key.bearer).status
            with self._lock:
                self._counts[model][status] += 1


def test_a_killed_engine_under_load_denies_and_comes_back(
    under_test: EngineUnderTest, engine: RecordingEngine, tmp_path: Path
) -> None:
    with serving(under_test, engine, tmp_path) as gateway, Load(gateway, gateway.create_key("load")) as load:
        for _ in range(2):
            until(lambda: load.seen(ASKED, 200) > 5 and load.seen(PRIVATE, 403) > 5, 20.0, "both are answered")
            under_test.kill(gateway)
            if under_test.remote is not None:
                until(lambda: load.seen(ASKED, 503) > 3, 20.0, "the allowed model is refused meanwhile")
            under_test.revive()
            before = load.seen(ASKED, 200)
            until(lambda before=before: load.seen(ASKED, 200) > before + 5, 20.0, "it works again, by itself")  # type: ignore[misc]
        # An OPA that was started anew has no policy, and so no decision, until it is pushed again.
        assert load.statuses(ASKED) <= {200, 503} | ({403} if under_test.remote else set())
        assert load.statuses(PRIVATE) <= {403, 503}
    models = {as_str(seen.document["model"]) for seen in engine.requests}
    assert PRIVATE_MODEL not in models


def test_a_silent_engine_is_replaced(child: EngineUnderTest, engine: RecordingEngine, tmp_path: Path) -> None:
    with serving(child, engine, tmp_path) as gateway:
        key = gateway.create_key("k")
        assert gateway.post(CHAT, chat(), key.bearer).status == 200
        child.silence(gateway)
        answer = gateway.post(CHAT, chat(), key.bearer)
        assert (answer.status, answer.error["code"]) == (503, "policy_unavailable")
        assert int(answer.head.get("retry-after") or 0) >= 1
        until(lambda: gateway.post(CHAT, chat(), key.bearer).status == 200, 30.0, "another engine answers")


def test_last_good_stands_in_for_an_engine_that_is_away_and_opens_nothing_new(
    engine: RecordingEngine, tmp_path: Path
) -> None:
    with (
        engine_under_test("remote", tmp_path / "opa") as remote,
        serving(remote, engine, tmp_path, on_error="last-good") as gateway,
    ):
        known, fresh = gateway.create_key("known"), gateway.create_key("fresh")
        assert gateway.post(CHAT, chat(), known.bearer).status == 200
        assert gateway.post(CHAT, chat(model=PRIVATE), known.bearer).status == 403
        remote.kill(gateway)
        assert gateway.post(CHAT, chat(), known.bearer).status == 200
        assert gateway.post(CHAT, chat(model=PRIVATE), known.bearer).status == 403
        assert gateway.post(CHAT, chat(), fresh.bearer).status == 503


FAULTS = {
    "undefined": 'package gateway.authz\n\ndecision := {"allow": true} if input.api.route == "/nowhere"\n',
    "no object": "package gateway.authz\n\ndecision := input.operation\n",
    "unknown obligation": (
        "package gateway.authz\n\n"
        'decision := {"allow": input.operation == "chat", "reasons": [], "obligations": {"dance": true}}\n'
    ),
    "wrong type": (
        "package gateway.authz\n\n"
        'decision := {"allow": input.operation == "chat", "reasons": [], "obligations": {"max_tokens": "9"}}\n'
    ),
    "conflict": "package gateway.authz\n\ndecision := input.model.requested\n\ndecision := input.caller.id\n",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_policy_that_gives_no_decision_never_comes_into_force(
    child: EngineUnderTest, engine: RecordingEngine, tmp_path: Path, fault: str
) -> None:
    """The check runs it on nonsense, and so refuses it at the start; what it would say to callers nobody hears."""
    rules = tmp_path / "policy"
    rules.mkdir()
    (rules / "access.rego").write_text(FAULTS[fault])
    config = configuration(engine.url, policy=child.policy(dir=str(rules), timeout="5s"))
    gateway = Gateway(tmp_path / "gateway", config).spawn()
    try:
        line = gateway.out.find(lambda text: '"listening"' in text, 20.0)
        if line is None:
            assert gateway.wait(10.0) == 2
            assert "policy check" in gateway.err.text
            return
        pytest.fail(f"it was let in: {fault}")
    finally:
        gateway.kill()


def test_a_folder_is_taken_over_while_it_runs_and_a_broken_one_is_not(
    child: EngineUnderTest, engine: RecordingEngine, tmp_path: Path
) -> None:
    with serving(child, engine, tmp_path) as gateway:
        key = gateway.create_key("k")
        rules = tmp_path / "policy" / "access.rego"

        def status(model: str) -> int:
            return gateway.post(CHAT, chat(model=model), key.bearer).status

        assert (status(ASKED), status(PRIVATE)) == (200, 403)
        rules.write_text(ONE_MODEL.replace(ASKED, PRIVATE))
        until(lambda: status(PRIVATE) == 200, 15.0, "the new text decides")
        assert status(ASKED) == 403
        rules.write_text(ONE_MODEL.replace("default allow", "default allow ="))
        said = gateway.err.find(lambda line: "is not taken over" in line, 15.0)
        assert said is not None
        assert "access.rego:3" in said
        assert (status(ASKED), status(PRIVATE)) == (403, 200)


GREEDY = {
    "loops": "some i in numbers.range(1, 2000000); some j in numbers.range(1, 2000); i == j + 3000000",
    "allocates": 'count([x | some i in numbers.range(1, 3000000); x := sprintf("%d", [i])]) < 0',
    "matches": 'regex.match(`^(a+)+$`, concat("", [c | some i in numbers.range(1, 5000); c := "a"]))',
}


@pytest.mark.parametrize("kind", GREEDY)
def test_a_policy_that_takes_too_much_denies_and_the_door_stays_open(
    engine: RecordingEngine, tmp_path: Path, kind: str
) -> None:
    """For one caller only, so that no check finds it: what matters is that the others are served."""
    rule = f'\nspent if {{ {GREEDY[kind]} }}\n\nallow if {{ input.caller.id == "greedy"; spent; false }}\n'
    with (
        engine_under_test("embedded", tmp_path / "opa") as embedded,
        serving(embedded, engine, tmp_path, ONE_MODEL + rule) as gateway,
    ):
        modest = gateway.create_key("modest")
        assert gateway.post(CHAT, chat(), modest.bearer).status == 200
        greedy = gateway.create_key("greedy", "--owner", "greedy")
        assert gateway.post(CHAT, chat(model=PRIVATE), greedy.bearer).status in {403, 503}
        until(lambda: gateway.post(CHAT, chat(), modest.bearer).status == 200, 20.0, "others are served")
        assert all(as_str(seen.document["model"]) != PRIVATE_MODEL for seen in engine.requests)
