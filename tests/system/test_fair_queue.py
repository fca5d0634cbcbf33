"""The line in front of a busy engine, from outside: who goes next, who may stand in it, who leaves it, what is said."""

from __future__ import annotations

from contextlib import ExitStack

from policies.json import JSON, Object
from tests.system.calls import CHAT, chat, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL, PRIVATE_MODEL, Hold, Send, Stream, always, completion, whole
from tests.system.wire import Wire

HELD = always(*Stream().until(1, Hold()))
GRANTS: JSON = [{"id": "all", "everyone": True, "models": ["*"]}]


class Line:
    """A gateway whose engine has one slot, and the callers that stand in line for it."""

    def __init__(
        self, launch: Launch, stack: ExitStack, engine: RecordingEngine, queue: Object, slots: Object | None = None
    ) -> None:
        queue = {"limit": 8, "share": 1.0, "in_flight_per_caller": 16, "wait": "60s", **queue}
        policy: JSON = {"engine": "embedded", "grants": GRANTS}
        self.gateway: Gateway = launch(queue=queue, policy=policy, engine={"concurrency": 1, **(slots or {})})
        self.engine = engine
        self._stack = stack
        self._asked: dict[str, int] = {}

    def key(self, name: str) -> Key:
        return self.gateway.create_key(name)

    def hold(self, key: Key, text: str = "holds", **extra: JSON) -> Wire:
        """The engine's slot is `key`'s until the wire is reset."""
        self.engine.when(text, HELD)
        wire = self._stack.enter_context(start_stream(self.gateway, key, text, **extra))
        assert wire.head().status == 200
        return wire

    def stand(self, key: Key, text: str, **extra: JSON) -> Wire:
        """`key` asks, and is in line once its decision is on record: nothing is waited for in between."""
        number = self._asked[key.id] = self._asked.get(key.id, self._decided(key)) + 1
        wire = self._stack.enter_context(start_stream(self.gateway, key, text, **extra))
        until(lambda: self._decided(key) >= number, 10.0, f"{text} waits")
        return wire

    def _decided(self, key: Key) -> int:
        files = (self.gateway.folder / "home" / "decisions").glob("*.jsonl")
        return sum(f'"{key.id}"'.encode() in line for file in files for line in file.read_bytes().splitlines())

    def served(self, count: int) -> list[str]:
        """The texts that the engine was asked, in its order, once there are `count`."""
        self.engine.wait(lambda: len(self.engine.requests) >= count, f"{count} requests", 20.0)
        return [str(seen.document["messages"]).rpartition(": ")[2].strip("'}]") for seen in self.engine.requests]


def test_one_caller_does_not_wait_for_all_that_another_one_asked_before(
    launch: Launch, engine: RecordingEngine
) -> None:
    with ExitStack() as stack:
        line = Line(launch, stack, engine, {})
        noisy, quiet = line.key("noisy"), line.key("quiet")
        wire = line.hold(noisy)
        for number in range(4):
            line.stand(noisy, f"noisy{number}")
        line.stand(quiet, "quiet")
        wire.reset()
        assert line.served(6).index("quiet") <= 2


def test_who_leaves_the_line_is_gone_and_the_engine_never_hears_of_it(launch: Launch, engine: RecordingEngine) -> None:
    with ExitStack() as stack:
        line = Line(launch, stack, engine, {"limit": 1})
        one, leaver, next_one = (line.key(name) for name in ("one", "leaver", "next"))
        wire = line.hold(one)
        gone = line.stand(leaver, "gone")
        assert line.gateway.post(CHAT, chat(), next_one.bearer).status == 503
        gone.reset()

        assert line.gateway.err.find(lambda said: '"status":499' in said), "its leaving was noticed"
        line.stand(next_one, "waits")
        wire.reset()
        assert line.served(2) == ["holds", "waits"]


def test_one_key_may_not_fill_the_line(launch: Launch, engine: RecordingEngine) -> None:
    with ExitStack() as stack:
        line = Line(launch, stack, engine, {"limit": 4, "share": 0.5})
        noisy, quiet = line.key("noisy"), line.key("quiet")
        wire = line.hold(noisy)
        for number in range(2):
            line.stand(noisy, f"noisy{number}")
        answer = line.gateway.post(CHAT, chat(), noisy.bearer)
        assert (answer.status, answer.error["code"]) == (429, "concurrency_exceeded")
        assert 1 <= int(answer.head.get("retry-after") or 0) <= 60
        line.stand(quiet, "quiet")
        wire.reset()
        assert sorted(line.served(4)) == ["holds", "noisy0", "noisy1", "quiet"]


def test_retry_after_grows_with_an_engine_that_does_not_move(launch: Launch, engine: RecordingEngine) -> None:
    with ExitStack() as stack:
        line = Line(launch, stack, engine, {"limit": 2})
        one, other = line.key("one"), line.key("other")
        line.hold(one)
        for number in range(2):
            line.stand(one, f"one{number}")

        def says() -> int:
            answer = line.gateway.post(CHAT, chat(), other.bearer)
            assert answer.status == 503
            return int(answer.head.get("retry-after") or 0)

        first = says()
        assert 1 <= first <= 60
        until(lambda: says() > first + 2, 20.0, "three turns take longer, the longer the first one takes")


def test_requests_for_the_loaded_model_go_first_and_none_ends_an_answer(
    launch: Launch, engine: RecordingEngine
) -> None:
    with ExitStack() as stack:
        line = Line(launch, stack, engine, {}, {"concurrency": 2, "loaded_models": 1})
        keys = [line.key(f"key{number}") for number in range(5)]
        other = PRIVATE_MODEL.lower()
        wire = line.hold(keys[0])
        line.stand(keys[1], "other1", model=other)
        same = line.hold(keys[2], "same1")  # passes it, on the free slot
        line.stand(keys[3], "other2", model=other)
        line.stand(keys[4], "same2")
        same.reset()
        assert line.served(3)[:3] == ["holds", "same1", "same2"]
        wire.reset()
        assert sorted(line.served(5)[3:]) == ["other1", "other2"]
        assert [seen.document["model"] for seen in engine.requests] == [MODEL] * 3 + [PRIVATE_MODEL] * 2


def test_who_waits_for_a_model_to_be_loaded_has_a_time_of_its_own(launch: Launch, engine: RecordingEngine) -> None:
    with ExitStack() as stack:
        line = Line(
            launch,
            stack,
            engine,
            {"wait": "300ms", "load_wait": "60s"},
            {"concurrency": 4, "loaded_models": 1},
        )
        loader, other = line.key("loader"), line.key("other")
        engine.when("loads", always(Hold(), Send(whole(completion()))))
        line.stand(loader, "loads")
        engine.wait(lambda: len(engine.requests) == 1, "the load", 10.0)
        waiting = line.stand(other, "waits")
        elsewhere = line.gateway.post(CHAT, {**chat("elsewhere"), "model": PRIVATE_MODEL.lower()}, other.bearer)
        assert (elsewhere.status, elsewhere.error["code"]) == (503, "queue_timeout")
        assert len(engine.requests) == 1, "only one of them loads"
        engine.release()
        assert waiting.head(10.0).status == 200
