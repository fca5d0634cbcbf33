"""Inputs, records and the default policy itself, for the tests of the life cycle's cores."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import orjson
import regorus
from hypothesis import strategies as st

from policies.bundle import Bundle
from policies.call import Dialect, Operation
from policies.grants import Grant, Hours, policy_data
from policies.input import Instant, Place, PolicyInput, Shape, Wanted
from policies.json import JSON, Object, as_object
from policies.principal import DEFAULT_SCOPES, Principal, Scope
from policies.record import Record

REGO = Path(__file__).parents[3] / "policies" / "rego"
MODULES = {path.name: path.read_text() for path in sorted(REGO.glob("*.rego")) if not path.name.endswith("_test.rego")}
# regorus 0.13.0 gets rules wrong that read another file's (policies/embedded): so one file it is.
WHOLE = "\n".join(
    ["package gateway.authz", *(re.sub(r"^package .*$", "", text, flags=re.MULTILINE) for text in MODULES.values())]
)
BEGAN = 1_795_000_000.0
ANN = Principal("ann", "k1", "ci", "key", frozenset({"dev"}), DEFAULT_SCOPES)
NOON = Instant(int(BEGAN) * 10**9, "2026-11-18T12:00:00+00:00", 12, 0, 2, "UTC")
CHAT = PolicyInput(
    id="req-1",
    principal=ANN,
    place=Place("10.1.2.3", ("office",), "lan", 8080),
    operation=Operation.CHAT,
    dialect=Dialect.OPENAI,
    method="POST",
    route="/v1/chat/completions",
    time=NOON,
    model=Wanted("qwen3", "qwen3"),
    shape=Shape(max_tokens=256, messages=1, input_chars=100),
)
YES: Object = {"allow": True, "reasons": [], "obligations": {}, "grants": ["dev"], "revision": ""}


def no(*codes: str) -> Object:
    reasons: list[JSON] = [{"code": code, "message": f"because of {code}", "public": False} for code in codes]
    return {"allow": False, "reasons": reasons, "obligations": {}, "grants": [], "revision": ""}


def record(
    result: Object | None = YES, question: PolicyInput = CHAT, *, number: int = 1, reason: str = "", engine: str = "opa"
) -> Record:
    allow = result is not None and result.get("allow") is True
    name = f"req-{number}"
    given = replace(question, id=name).document()
    return Record(name, BEGAN + number, given, result, allow, reason, "", "r" * 64, engine, 240)


class Policy:
    """The default policy over `data`, in this process: for tests only."""

    def __init__(self, data: Object) -> None:
        self._engine = regorus.Engine()
        self._engine.add_policy("whole.rego", WHOLE)
        self._engine.add_data_json(orjson.dumps({"gwcfg": data}).decode())

    def rules(self, document: Object, *names: str) -> Object:
        """The values of some rules."""
        found: Object = {}
        for name in names:
            self._engine.set_input_json(orjson.dumps(document).decode())
            found[name] = orjson.loads(self._engine.eval_rule_as_json(f"data.gateway.authz.{name}"))
        return found

    def decide(self, document: Object) -> Object:
        """The decision."""
        self._engine.set_input_json(orjson.dumps(document).decode())
        return as_object(orjson.loads(self._engine.eval_rule_as_json("data.gateway.authz.decision")))


def bundle(*grants: Grant, tests: dict[str, str] | None = None) -> Bundle:
    return Bundle(MODULES, tests or {}, policy_data(grants))


_few = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple)
_models = st.sampled_from(["qwen3", "qwen3:8b", "llama3.2", "huggingface.co/org/m"])
hours = st.builds(
    Hours,
    days=st.lists(st.sampled_from(["mon", "wed", "sun"]), min_size=1, unique=True).map(tuple),
    start=st.integers(0, 23),
    end=st.integers(0, 24),
)
grants = st.builds(
    Grant,
    id=st.uuids().map(str),
    models=st.lists(st.sampled_from(["*", "qwen*", "llama3.2", "ai/*"]), min_size=1, max_size=2).map(tuple),
    users=st.sampled_from([(), ("ann",), ("bob",)]),
    groups=_few,
    keys=st.sampled_from([(), ("k1",)]),
    operations=st.lists(st.sampled_from(["chat", "embeddings", "models.list"]), min_size=1, unique=True).map(tuple),
    networks=_few,
    listeners=_few,
    hours=st.lists(hours, max_size=2).map(tuple),
    tools=st.booleans(),
    images=st.booleans(),
    aliases=st.sampled_from([{}, {}, {"gpt": "qwen3"}]),
)
principals = st.builds(
    Principal,
    id=st.sampled_from(["ann", "bob"]),
    key_id=st.sampled_from(["k1", "k2"]),
    name=st.just("ci"),
    auth=st.just("key"),
    groups=_few.map(frozenset),
    scopes=st.sampled_from([DEFAULT_SCOPES, frozenset({Scope.MODELS_READ}), frozenset[Scope]()]),
    models=st.sampled_from([("*",), ("qwen*",), ("llama*", "q?en3")]),
)
questions = st.builds(
    PolicyInput,
    id=st.just("req-1"),
    principal=principals,
    place=st.builds(
        Place, ip=st.just("10.1.2.3"), networks=_few, listener=st.sampled_from(["a", "b", "z"]), port=st.just(8080)
    ),
    operation=st.sampled_from([Operation.CHAT, Operation.EMBEDDINGS, Operation.MODELS_LIST]),
    dialect=st.just(Dialect.OPENAI),
    method=st.just("POST"),
    route=st.just("/v1/chat/completions"),
    time=st.builds(
        Instant,
        now_ns=st.just(int(BEGAN) * 10**9),
        iso=st.just(""),
        hour=st.integers(0, 23),
        minute=st.just(0),
        weekday=st.integers(0, 6),
        tz=st.just("UTC"),
    ),
    model=st.one_of(_models, st.just("gpt")).map(lambda name: Wanted(name, name)),
    shape=st.builds(Shape, tools=st.integers(0, 2), images=st.integers(0, 1)),
)
