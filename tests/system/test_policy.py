"""Who may use which model: the same tests with each of the three engines, on what callers and the engine saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, chat, chunks, events, start_stream
from tests.system.policy_engines import KINDS, EngineUnderTest, engine_under_test
from tests.system.process import Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PRIVATE_MODEL, Hold, Stream, always
from tests.system.wire import Answer, compose, loads

PRIVATE = PRIVATE_MODEL.lower()
NEVER = (datetime.now().astimezone().hour + 12) % 24
"""An hour that is not now, nor soon."""


def grant(name: str, models: tuple[str, ...] = (ASKED,), **more: JSON) -> Object:
    """A grant for the group of its own name."""
    return {"id": name, "groups": [name], "models": list(models), **more}


GRANTS: list[JSON] = [
    grant("plain"),
    grant("all", ("*",)),
    grant("capped", max_tokens=5, strip=["logprobs"], headers={"x-policy": "capped"}),
    grant("generous", max_tokens=50),
    grant("no-tools", tools=False, images=False),
    grant("some-tools", tool_names=["search"]),
    grant("night", hours=[{"start": NEVER, "end": NEVER + 1}]),
    grant("day", hours=[{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}]),
    grant("office", networks=["office"]),
    grant("home", networks=["home"]),
    grant("elsewhere", listeners=["other"]),
    grant("lister", operations=["models.list"]),
    grant("stocker", operations=["models.pull", "models.delete"], timeout=0.5, headers={"x-policy": "stocker"}),
    grant("renamed", ("best", PRIVATE), aliases={"best": PRIVATE}),
    grant("renamed-badly", ("worst",), aliases={"worst": PRIVATE}),
    grant("narrow", rate_class="narrow"),
    grant("quick", timeout=2),
    grant("watched", audit=True, capture="metadata"),
    grant("hidden", redact=["caller.id", "caller.name", "source.ip"]),
]
SETTINGS: Object = {
    "grants": GRANTS,
    "networks": {"office": ["10.0.0.0/8"], "home": ["127.0.0.0/8"]},
    # Machines under load are slow; what a decision costs is the benchmarks' business.
    "timeout": "5s",
}


@dataclass(slots=True)
class House:
    """One gateway with one engine, and a key for each group."""

    gateway: Gateway
    engine: EngineUnderTest
    keys: dict[str, Key] = field(default_factory=dict)

    def key(self, group: str) -> Key:
        if group not in self.keys:
            self.keys[group] = self.gateway.create_key(group, "--owner", f"{group}-owner", "--group", group)
        return self.keys[group]

    def ask(self, group: str, **extra: JSON) -> Answer:
        return self.gateway.post(CHAT, chat(**extra), self.key(group).bearer)

    def code(self, group: str, **extra: JSON) -> str:
        """The code of a refusal, "" for an answer."""
        answer = self.ask(group, **extra)
        return "" if answer.status == 200 else as_str(answer.error["code"])

    def decisions(self, request_id: str, count: int = 1) -> list[Object]:
        """What the decision log holds of one request, waiting until there are `count`."""
        folder = self.gateway.folder / "home" / "decisions"

        def found() -> list[Object]:
            # The last line may be half written.
            lines = (line for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().split(b"\n")[:-1])
            return [document for document in map(loads, lines) if document.get("id") == request_id]

        until(lambda: len(found()) >= count, 5.0, f"{request_id} is in the decision log")
        return found()


@pytest.fixture(scope="module", params=KINDS)
def shared_house(
    request: pytest.FixtureRequest, shared_engine: RecordingEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("policy")
    with engine_under_test(str(request.param), folder / "opa") as under_test:
        changes: dict[str, JSON] = {
            "policy": under_test.policy(**SETTINGS),
            "limits": {"classes": {"narrow": {"concurrency": 1}}},
            "queue": {"queued_per_caller": 0},
            "listener": {"name": "local", "bind": "127.0.0.1:0"},
        }
        config = configuration(shared_engine.url, **changes)
        listeners = as_list(config["listeners"])
        config["listeners"] = [*listeners, {"name": "other", "bind": "127.0.0.1:0"}]
        gateway = Gateway(folder / "gateway", config, under_test.env)
        try:
            yield House(gateway.start().ready(), under_test)
        finally:
            gateway.kill()


@pytest.fixture
def house(shared_house: House, engine: RecordingEngine) -> House:
    assert shared_house.gateway.process.poll() is None, shared_house.gateway.err.text
    assert engine.requests == []
    return shared_house


@pytest.mark.parametrize(
    ("group", "extra", "expected"),
    [
        ("plain", {}, ""),
        ("plain", {"model": PRIVATE}, "model_not_permitted"),
        ("plain", {"model": "no-such-model"}, "model_not_permitted"),
        ("all", {"model": PRIVATE}, ""),
        ("all", {"model": "no-such-model"}, "model_not_permitted"),
        ("nobody", {}, "model_not_permitted"),
        ("night", {}, "policy_denied"),
        ("day", {}, ""),
        ("office", {}, "place_not_permitted"),
        ("home", {}, ""),
        ("elsewhere", {}, "place_not_permitted"),
        ("lister", {}, "model_not_permitted"),
        ("renamed-badly", {"model": "worst"}, "model_not_permitted"),
        ("no-tools", {}, ""),
        ("no-tools", {"tools": [{"type": "function", "function": {"name": "search"}}]}, "tools_not_permitted"),
        ("some-tools", {"tools": [{"type": "function", "function": {"name": "search"}}]}, ""),
        ("some-tools", {"tools": [{"type": "function", "function": {"name": "shell"}}]}, "tools_not_permitted"),
        ("watched", {}, ""),
    ],
)
def test_the_grants_decide(house: House, engine: RecordingEngine, group: str, extra: Object, expected: str) -> None:
    assert house.code(group, **extra) == expected
    assert len(engine.requests) == (0 if expected else 1)


def test_images_need_a_grant_that_allows_them(house: House, engine: RecordingEngine) -> None:
    picture: JSON = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages: list[JSON] = [{"role": "user", "content": [{"type": "text", "text": "what?"}, picture]}]
    assert house.code("no-tools", messages=messages) == "images_not_permitted"
    assert engine.requests == []


def test_a_cap_strips_and_names_itself(house: House, engine: RecordingEngine) -> None:
    answer = house.ask("capped", max_tokens=100, logprobs=True, top_logprobs=3)
    assert answer.status == 200
    assert answer.head.get("x-policy") == "capped"
    sent = engine.requests[0].document
    assert sent["max_tokens"] == 5
    assert not {"logprobs", "top_logprobs"} & sent.keys()


def test_a_request_without_a_limit_gets_the_cap_and_one_below_it_keeps_its_own(
    house: House, engine: RecordingEngine
) -> None:
    assert house.ask("capped").status == 200
    assert house.ask("capped", max_tokens=3).status == 200
    assert [seen.document["max_tokens"] for seen in engine.requests] == [5, 3]


def test_the_most_generous_grant_counts(house: House, engine: RecordingEngine) -> None:
    key = house.gateway.create_key("two", "--group", "capped", "--group", "generous")
    assert house.gateway.post(CHAT, chat(max_tokens=100), key.bearer).status == 200
    assert engine.requests[0].document["max_tokens"] == 50


def test_to_change_which_models_there_are_takes_a_grant_that_says_so(house: House) -> None:
    """The engine here can do neither: who is told so has passed the policy."""
    wanted = {
        ("stocker", ASKED): "operation_not_supported",
        ("stocker", PRIVATE): "model_not_permitted",
        ("all", ASKED): "model_not_permitted",
    }
    writers = {
        group: house.gateway.create_key(f"{group}-writer", "--group", group, "--scope", "models:write")
        for group in ("stocker", "all")
    }
    for (group, model), code in wanted.items():
        bearer = writers[group].bearer
        pull = house.gateway.post("/api/pull", {"model": model}, bearer)
        assert f"({code})" in as_str(pull.json()["error"]), pull
        with house.gateway.open() as wire:
            delete = wire.ask(compose("DELETE", f"/models/{model}", bearer))
        assert f"({code})" in delete.body.decode(), delete
        for answer, operation in ((pull, "models.pull"), (delete, "models.delete")):
            (record,) = house.decisions(as_str(answer.head.get("x-request-id")))
            asked = as_object(record["input"])
            assert (asked["operation"], as_object(asked["model"])["resolved"]) == (operation, model)
            assert as_object(asked["key"])["scopes"] == ["models:write"]


def test_an_alias_of_a_grant_leads_to_its_model_and_back(house: House, engine: RecordingEngine) -> None:
    answer = house.ask("renamed", model="best")
    assert answer.status == 200
    assert answer.json()["model"] == "best"
    assert engine.requests[0].document["model"] == PRIVATE_MODEL
    first, second = house.decisions(as_str(answer.head.get("x-request-id")), 2)
    assert as_object(as_object(first["result"])["obligations"])["model"] == PRIVATE
    assert as_object(as_object(second["input"])["model"])["resolved"] == PRIVATE


def listed(house: House, group: str) -> list[str]:
    answer = house.gateway.get("/v1/models", house.key(group).bearer)
    assert answer.status == 200, answer
    return sorted(as_str(as_object(entry)["id"]).lower() for entry in as_list(answer.json()["data"]))


@pytest.mark.parametrize(
    ("group", "expected"),
    [("plain", [ASKED]), ("all", sorted([ASKED, PRIVATE])), ("lister", [ASKED]), ("office", []), ("home", [ASKED])],
)
def test_a_listing_is_one_decision_and_shows_what_may_be_used(house: House, group: str, expected: list[str]) -> None:
    if group == "office":
        assert house.gateway.get("/v1/models", house.key(group).bearer).status == 403
    else:
        assert listed(house, group) == expected
    me = house.gateway.get("/v1/me", house.key(group).bearer)
    assert me.status == 200
    assert sorted(as_str(name).lower() for name in as_list(me.json()["models"])) == expected
    assert len(house.decisions(as_str(me.head.get("x-request-id")))) == 1


def test_hidden_and_missing_models_look_alike(house: House) -> None:
    answers = [
        house.gateway.get(f"/v1/models/{name}", house.key("plain").bearer) for name in (PRIVATE, "no-such-model")
    ]
    assert [answer.status for answer in answers] == [403, 403]
    assert answers[0].body == answers[1].body


def test_a_class_limits_what_one_credential_has_under_way(house: House, engine: RecordingEngine) -> None:
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(house.gateway, house.key("narrow")) as wire:
        assert wire.head().status == 200
        assert house.code("narrow") == "concurrency_exceeded"
        assert house.code("plain") == ""
    until(lambda: house.code("narrow") == "", 5.0, "the class has room again")


def test_time_is_up_when_the_policy_says_so(house: House, engine: RecordingEngine) -> None:
    engine.play(always(*Stream().until(1, Hold())), always(Hold()))
    with start_stream(house.gateway, house.key("quick")) as wire:
        found = events(wire)
    assert as_object(found[-1].json()["error"])["code"] == "engine_timeout"
    assert house.code("quick") == "engine_timeout"


def test_an_audited_decision_is_on_disk_before_the_engine_is_asked(house: House, engine: RecordingEngine) -> None:
    engine.play(always(*Stream().until(1, Hold(), *Stream().steps()[1:])))
    with start_stream(house.gateway, house.key("watched")) as wire:
        head = wire.head()
        (record,) = house.decisions(as_str(head.get("x-request-id")))
        assert record["audit"] is True
    assert engine.requests


def test_redacted_fields_stand_in_no_record(house: House) -> None:
    answer = house.ask("hidden")
    request_id = as_str(answer.head.get("x-request-id"))
    (record,) = house.decisions(request_id)
    assert record["masked"] == ["caller.id", "caller.name", "key.name", "source.container", "source.ip"]
    assert "hidden-owner" not in str(record)
    line = house.gateway.access_line(request_id)
    assert (line["caller"], line["ip"]) == ("(redacted)", "(redacted)")


def test_every_decision_is_recorded_with_what_it_rested_on(house: House) -> None:
    for group, allowed in (("plain", True), ("nobody", False)):
        answer = house.ask(group, max_tokens=9)
        (record,) = house.decisions(as_str(answer.head.get("x-request-id")))
        assert record["allow"] is allowed
        assert record["engine"] in {house.engine.kind, "cache"}
        assert len(as_str(record["revision"])) == 64
        given = as_object(record["input"])
        assert as_object(given["request"])["max_tokens"] == 9
        assert as_object(given["source"])["networks"] == ["home"]


@pytest.mark.parametrize(
    "name",
    ['qwen"], "allow": true, "z":["', "tiny\x00-evil", "a\nb", "x" * 10_240, "\u00e9" * 300, "${jndi:x}", "../x"],
)
def test_odd_names_are_plain_strings(house: House, engine: RecordingEngine, name: str) -> None:
    for group in ("all", "plain"):
        assert house.ask(group, model=name).status in {400, 403}
    assert engine.requests == []


def test_nothing_of_a_prompt_is_in_a_decision(house: House) -> None:
    secret = "the-launch-code-is-0000"
    answer = house.ask("plain", messages=[{"role": "user", "content": secret}])
    assert secret not in str(house.decisions(as_str(answer.head.get("x-request-id"))))
    with start_stream(house.gateway, house.key("plain"), secret) as wire:
        assert chunks(events(wire))
    assert secret not in house.gateway.logged()


def test_the_same_question_is_answered_from_the_cache(house: House) -> None:
    def engine_of() -> str:
        answer = house.ask("plain", max_tokens=11)
        (record,) = house.decisions(as_str(answer.head.get("x-request-id")))
        return as_str(record["engine"])

    until(lambda: engine_of() == "cache", 10.0, "decisions are cached")


def test_a_kept_alive_connection_gets_one_decision_for_each_request(house: House) -> None:
    with house.gateway.open() as wire:
        ids = []
        for group in ("plain", "nobody", "plain"):
            answer = wire.ask(compose("POST", CHAT, house.key(group).bearer, body=chat()))
            ids.append((answer.status, as_str(answer.head.get("x-request-id"))))
    assert [status for status, _ in ids] == [200, 403, 200]
    assert [len(house.decisions(request_id)) for _, request_id in ids] == [1, 1, 1]
