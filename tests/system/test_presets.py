"""Presets over sockets: what the engine is asked in each dialect, by name, by alias and by key, and who gets a no."""

from __future__ import annotations

import pytest
import yaml

from policies.json import JSON, Object, as_list, as_object
from tests.system.calls import ASKED, CHAT, chat
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PRIVATE_MODEL, Send, always, listing, whole
from tests.system.wire import Answer

KIDS: Object = {
    "defaults": {"temperature": 0.3},
    "ceilings": {"temperature": 0.4, "max_tokens": 50, "n": 1},
}
OWN: Object = {"defaults": {"temperature": 0.1}, "models": {ASKED: {"defaults": {"temperature": 0.6}}}}
MODELS: Object = {"presets": {"kids": KIDS, "own": OWN}, "aliases": {"coder": f"{ASKED}@code"}}
TURNS: list[JSON] = [{"role": "user", "content": "hi"}]


def own(launch: Launch, policy: JSON = None, limits: JSON = None) -> Gateway:
    gateway = launch(models=MODELS, policy=policy or {}, limits=limits or {})
    gateway.env = {**gateway.env, "LLM_GATEWAY_CONFIG": str(gateway.file)}
    return gateway


def sent(engine: RecordingEngine) -> Object:
    """The numbers that the engine was asked with last."""
    names = {"temperature", "top_p", "max_tokens", "n", "presence_penalty"}
    return {name: value for name, value in engine.requests[-1].document.items() if name in names}


def ask(gateway: Gateway, key: Key, model: str = ASKED, /, **extra: JSON) -> Answer:
    return gateway.post(CHAT, {**chat(), "model": model, **extra}, key.bearer)


DIALECTS: dict[str, tuple[str, Object, str]] = {
    "openai": (CHAT, {"messages": TURNS, "temperature": 1.5}, "model"),
    "completions": ("/v1/completions", {"prompt": "hi", "temperature": 1.5}, "model"),
    "anthropic": ("/v1/messages", {"messages": TURNS, "max_tokens": 400, "temperature": 1.5}, "model"),
    "responses": ("/v1/responses", {"input": "hi", "temperature": 1.5, "max_output_tokens": 400}, "model"),
    "ollama": (
        "/api/chat",
        {"messages": TURNS, "stream": False, "options": {"temperature": 1.5, "num_predict": 400}},
        "model",
    ),
}


def test_every_dialect_asks_for_one_by_name_and_is_held_to_its_keys(launch: Launch, engine: RecordingEngine) -> None:
    gateway = own(launch)
    free, kid = gateway.create_key("free"), gateway.create_key("kid", "--preset", "kids")
    request = ""
    for dialect, (path, body, member) in DIALECTS.items():
        named = gateway.post(path, {**body, "model": f"{ASKED}@creative"}, free.bearer)
        assert named.status == 200, (dialect, named.raw)
        assert named.json()[member] == f"{ASKED}@creative"  # what the caller wrote
        assert named.head.get("x-llm-gateway-preset") == "creative"
        assert named.head.get("x-llm-gateway-clamped") is None
        found = sent(engine)
        assert (found["temperature"], found["top_p"], found["presence_penalty"]) == (1.5, 1.0, 0.3), dialect
        assert "@" not in str(engine.requests[-1].document["model"])

        held = gateway.post(path, {**body, "model": f"{ASKED}@creative"}, kid.bearer)
        assert held.status == 200, (dialect, held.raw)
        assert held.head.get("x-llm-gateway-preset") == "creative, kids"
        assert (held.head.get("x-llm-gateway-clamped") or "").startswith("temperature"), dialect
        found = sent(engine)
        assert (found["temperature"], found["max_tokens"], found["presence_penalty"]) == (0.4, 50, 0.3), dialect
        if dialect == "responses":  # the one dialect whose answers say what was used
            assert [held.json()[name] for name in ("temperature", "max_output_tokens")] == [0.4, 50]
        request = held.head.get("x-request-id") or ""

    plain = gateway.post(CHAT, chat(), free.bearer)
    assert plain.head.get("x-llm-gateway-preset") is None
    assert sent(engine) == {}
    line = gateway.access_line(request)
    assert (line["presets"], line["requested_model"]) == (["creative", "kids"], f"{ASKED}@creative")
    assert (line["model"], line["clamped"]) == (ASKED, ["temperature", "max_tokens"])
    assert gateway.get("/v1/me", kid.bearer).json()["preset"] == "kids"
    assert gateway.get("/v1/me", free.bearer).json()["preset"] is None


def test_an_alias_names_one_and_listings_know_them(launch: Launch, engine: RecordingEngine) -> None:
    gateway = own(launch)
    key = gateway.create_key("caller")
    assert ask(gateway, key, "coder").json()["model"] == "coder"
    assert sent(engine) == {"temperature": 0.2, "top_p": 0.95}
    assert ask(gateway, key, "coder@chat", temperature=0.9).status == 200
    assert sent(engine) == {"temperature": 0.9, "top_p": 0.9}
    listed = [as_object(each)["id"] for each in as_list(gateway.get("/v1/models", key.bearer).json()["data"])]
    assert [name for name in listed if "@" in str(name)] == []
    for name in (ASKED, f"{ASKED}@code", f"{ASKED}%40code"):
        shown = gateway.get(f"/v1/models/{name}", key.bearer)
        assert (shown.status, shown.json()["id"]) == (200, name.replace("%40", "@"))
        assert shown.json()["presets"] == ["chat", "code", "creative", "kids", "long-context", "own"]
    tags = gateway.post("/api/show", {"model": f"{ASKED}@code:latest"}, key.bearer)
    assert tags.status == 200


def test_a_rule_about_a_model_is_about_it_with_any_preset(launch: Launch, engine: RecordingEngine) -> None:
    private = PRIVATE_MODEL.lower()
    grant: Object = {"id": "all", "models": [ASKED], "everyone": True, "max_tokens": 30, "aliases": {"fast": ASKED}}
    gateway = own(launch, policy={"grants": [grant]})
    key, bound = gateway.create_key("caller"), gateway.create_key("bound", "--model", ASKED)
    refused = [ask(gateway, key, name) for name in (private, f"{private}@code", f"{private}@code:latest", "no@chat")]
    assert {answer.status for answer in refused} == {403}
    assert len({str(answer.error) for answer in refused}) == 1  # also for what there is not
    assert engine.requests == []
    # The policy's word is the last one, and its own grants of the model cover the model with a preset.
    for caller in (key, bound):
        assert ask(gateway, caller, f"{ASKED}@code", max_tokens=40, temperature=0.6).status == 200
        assert sent(engine) == {"temperature": 0.6, "top_p": 0.95, "max_tokens": 30}
    # The policy has another model serve it: that one's values count.
    assert ask(gateway, key, "fast@own", max_tokens=40).status == 200
    assert sent(engine) == {"temperature": 0.6, "max_tokens": 30}


def test_what_is_no_preset_is_part_of_the_name(launch: Launch, engine: RecordingEngine) -> None:
    engine.listing = always(Send(whole(listing("Tiny@Q4_K_M", "tiny"))))
    gateway = own(launch)
    key, bound = gateway.create_key("caller"), gateway.create_key("bound", "--model", "tiny")
    until(lambda: gateway.get("/v1/models/tiny", key.bearer).status == 200, 10.0, "the models are known")
    for name, temperature in (
        ("tiny@q4_k_m", None),
        ("tiny@q4_k_m@code", 0.2),
        ("tiny@code", 0.2),
        ("tiny@chat", 0.7),
    ):
        assert ask(gateway, key, name).status == 200, name
        assert sent(engine).get("temperature") == temperature, name
    unknown = ask(gateway, key, "tiny@coed")
    assert (unknown.status, unknown.error["code"], unknown.error["param"]) == (400, "unknown_preset", "model")
    # Who may use one model only is told nothing of others, whether they are there or not.
    hidden, missing = ask(gateway, bound, "tiny@q4_k_m"), ask(gateway, bound, "tiny@q8_0")
    assert (hidden.status, missing.status) == (403, 403)
    assert hidden.error == missing.error


def test_an_edit_counts_without_a_restart_and_a_key_never_loses_its_bounds(
    launch: Launch, engine: RecordingEngine
) -> None:
    gateway = own(launch)
    key, kid = gateway.create_key("caller"), gateway.create_key("kid", "--preset", "kids")

    def rewrite(presets: Object) -> None:
        gateway.config["models"] = {"presets": presets}
        draft = gateway.file.with_suffix(".new")
        draft.write_text(yaml.safe_dump(gateway.config))
        draft.rename(gateway.file)

    assert ask(gateway, key, f"{ASKED}@mine").status == 400
    rewrite({"kids": {"defaults": {"temperature": 0.1}}, "mine": {"defaults": {"temperature": 1.9}}})
    until(lambda: ask(gateway, key, f"{ASKED}@mine").status == 200, 10.0, "a new preset")
    assert sent(engine) == {"temperature": 1.9}

    def held() -> Object:
        assert ask(gateway, kid).status == 200
        return sent(engine)

    until(lambda: held() == {"temperature": 0.1}, 10.0, "the other one as it is now")

    rewrite({"mine": {"defaults": {"temperature": 9}}})  # a mistake: nothing changes
    line = gateway.err.find(lambda text: "presets of the configuration stay as they are" in text, 10.0)
    assert line is not None
    assert ask(gateway, kid).status == 200

    rewrite({})
    until(lambda: ask(gateway, key, f"{ASKED}@mine").status == 400, 10.0, "the preset is gone")
    count = len(engine.requests)
    lost = ask(gateway, kid)
    assert (lost.status, lost.error["code"]) == (403, "preset_not_configured")
    assert ask(gateway, kid, f"{ASKED}@code").status == 403
    assert len(engine.requests) == count


def test_what_is_left_of_a_budget_is_below_a_ceiling(launch: Launch, engine: RecordingEngine) -> None:
    gateway = own(launch, limits={"rules": [{"name": "day", "per": "key", "output": {"day": 5}}]})
    kid = gateway.create_key("kid", "--preset", "kids")
    assert ask(gateway, kid, max_tokens=1000).status == 200
    most = sent(engine)["max_tokens"]
    assert isinstance(most, int)
    assert most <= 5  # what is left is less than the preset's ceiling, and counts


@pytest.mark.parametrize("name", ["gone", "kids"])
def test_keys_are_bound_to_presets_that_are_there(launch: Launch, name: str) -> None:
    gateway = own(launch)
    made = gateway.run("keys", "create", "caller", "--preset", name, "--json")
    assert made.code == (0 if name == "kids" else 2), made.err
    assert (name == "kids") == ("has no preset" not in made.err)
