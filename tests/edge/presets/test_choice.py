"""Which presets count: the name's before the key's, for models and aliases; one that is not there is a no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.config.presets import BUILT_IN, Ceilings, Defaults, Preset, Values
from edge.presets.choice import Presets, unknown_model
from engines.naming import Named
from policies.call import Call, Dialect, Operation
from policies.decision import own_permit
from policies.errors import Refusal
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason

KEY = Principal("ann", "k1", "ann", "key", frozenset(), DEFAULT_SCOPES)
KIDS = Preset(Defaults(temperature=0.3), ceilings=Ceilings(temperature=0.4, max_tokens=200))
OWN = Preset(
    Defaults(temperature=0.1),
    models={
        "qwen*": Values(Defaults(temperature=0.6)),
        "coder": Values(Defaults(top_p=0.5)),
        "qwen3:8b": Values(Defaults(temperature=0.7), ceilings=Ceilings(max_tokens=9)),
    },
)
PRESETS = Presets({**BUILT_IN, "kids": KIDS, "own": OWN})
CALL = Call(Operation.CHAT, Dialect.OPENAI, "m", body={"messages": []})


def fit(named: Named, preset: str = "", temperature: float | None = None) -> Call:
    asked = CALL if temperature is None else replace(CALL, body={"messages": [], "temperature": temperature})
    return PRESETS.fit(asked, replace(KEY, preset=preset), named)


def test_without_any_the_call_is_what_it_was() -> None:
    assert fit(Named("m")) is CALL


def test_the_name_asks_for_one() -> None:
    found = fit(Named("m", "code"), temperature=5)
    assert (found.body["temperature"], found.presets, found.clamped) == (0.7, ("code",), ("temperature",))


def test_the_keys_bounds_hold_whatever_the_name_asks_for() -> None:
    plain = fit(Named("m"), "kids")
    assert (plain.body["temperature"], plain.max_tokens, plain.presets) == (0.3, 200, ("kids",))
    wild = fit(Named("m", "creative"), "kids", temperature=1.5)
    assert (wild.body["temperature"], wild.max_tokens, wild.presets) == (0.4, 200, ("creative", "kids"))
    assert wild.body["presence_penalty"] == 0.3
    assert fit(Named("m", "kids"), "kids").presets == ("kids",)


@pytest.mark.parametrize(
    ("named", "temperature", "top_p", "length"),
    [
        (Named("llama3.2", "own"), 0.1, None, None),
        (Named("qwen3", "own"), 0.6, None, None),
        (Named("qwen3:8b", "own"), 0.7, None, 9),
        (Named("qwen3", "own", "coder"), 0.6, 0.5, None),
    ],
)
def test_models_and_aliases_have_values_of_their_own(
    named: Named, temperature: float, top_p: float | None, length: int | None
) -> None:
    found = fit(named)
    assert (found.body["temperature"], found.body.get("top_p"), found.max_tokens) == (temperature, top_p, length)


def test_what_is_not_there_is_a_no() -> None:
    with pytest.raises(Refusal) as lost:
        fit(Named("m"), "gone")
    assert (lost.value.reason, lost.value.detail) == (Reason.PRESET_NOT_CONFIGURED, "the key's preset gone")
    with pytest.raises(Refusal) as unknown:
        fit(Named("m", "gone"))
    assert (unknown.value.reason, unknown.value.param) == (Reason.UNKNOWN_PRESET, "model")


def test_another_table_counts_at_once() -> None:
    presets = Presets(BUILT_IN)
    assert "own" not in presets.names
    presets.take({"own": OWN})
    assert presets.names == {"own"}
    assert presets.fit(CALL, KEY, Named("m", "own")).body["temperature"] == 0.1


@pytest.mark.parametrize(("model", "reason"), [("m", Reason.MODEL_NOT_PERMITTED), ("m@coed", Reason.UNKNOWN_PRESET)])
def test_who_may_use_a_model_is_told_that_there_is_no_such_preset(model: str, reason: Reason) -> None:
    assert unknown_model(own_permit(model)).reason is reason
