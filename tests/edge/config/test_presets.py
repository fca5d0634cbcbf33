"""Presets of the configuration: the built-in ones stay, and what contradicts itself is told with its place."""

from __future__ import annotations

import pytest

from edge.config.presets import BUILT_IN, Ceilings, Defaults, Floors, Preset, over, said
from edge.config.show import effective
from policies.json import as_object
from tests.edge.config.conftest import Load, Mistakes


def test_the_built_in_ones_are_always_there_and_can_be_replaced(settings: Load) -> None:
    text = "models: {presets: {code: {defaults: {temperature: 0.1}}, kids: {ceilings: {max_tokens: 50}}}}"
    presets = settings(text).models.presets
    assert presets.keys() == {"code", "chat", "creative", "long-context", "kids"}
    assert presets["code"] == Preset(Defaults(temperature=0.1))
    assert presets["kids"].ceilings == Ceilings(max_tokens=50)
    assert presets["chat"] == BUILT_IN["chat"]


def test_what_is_in_force_is_shown(settings: Load) -> None:
    presets = as_object(as_object(effective(settings("{}"))["models"])["presets"])
    assert as_object(as_object(presets["code"])["defaults"])["temperature"] == 0.2


@pytest.mark.parametrize(
    ("preset", "complaint"),
    [
        ("defaults: {temperature: 6}", "must be from 0 to 5"),
        ("defaults: {top_k: 1.5}", "whole number"),
        ("defaults: {seed: 1}", "seed"),
        ("defaults: {reasoning_effort: lots}", "must be one of none, minimal"),
        ("ceilings: {n: 0}", "must be from 1"),
        ("floors: {max_tokens: 5}", "max_tokens"),
        ("ceilings: {temperature: 1}", "temperature has a bound and no default"),
        ("floors: {min_p: 0.1}", "min_p has a bound and no default"),
        ("defaults: {temperature: 1}, ceilings: {temperature: 0.5}", "default of temperature is not within its bounds"),
        ("defaults: {temperature: 1}, floors: {temperature: 2}", "default of temperature is not within its bounds"),
        ("defaults: {top_k: 0}, ceilings: {top_k: 40}", "default of top_k is not within its bounds"),
        (
            "defaults: {reasoning_effort: high}, ceilings: {reasoning_effort: low}",
            "default of reasoning_effort is not within its bounds",
        ),
        ("models: {'qwen*': {ceilings: {temperature: 1}}}", "temperature has a bound and no default, for `qwen*`"),
        ("models: {'q wen': {}}", "a model's name"),
    ],
)
def test_mistakes(mistakes: Mistakes, preset: str, complaint: str) -> None:
    found = mistakes("models: {presets: {own: {" + preset + "}}}")
    assert any("models.presets.own" in line and complaint in line for line in found), found


@pytest.mark.parametrize("name", ["Code", "a b", "x" * 33, "none", "a@b"])
def test_names(mistakes: Mistakes, name: str) -> None:
    (line,) = mistakes("models: {presets: {'" + name + "': {}}}")
    assert "is no name for a preset" in line


def test_a_key_names_one_that_is_there(settings: Load, mistakes: Mistakes) -> None:
    assert settings("keys: [{name: a, secret_file: x, preset: chat}]").keys[0].grant.preset == "chat"
    (line,) = mistakes("keys: [{name: a, secret_file: x, preset: creativ}]")
    assert "keys[0].preset: `creativ` is not the name of a preset; write `creative`" in line


def test_an_alias_may_name_one_but_no_other_alias(settings: Load, mistakes: Mistakes) -> None:
    assert settings("models: {aliases: {coder: 'qwen3@code'}}").models.aliases["coder"] == "qwen3@code"
    (line,) = mistakes("models: {aliases: {coder: 'qwen3@code', next: 'coder@chat'}}")
    assert "models.aliases.next: must name a model, not an alias" in line


def test_the_later_values_count_and_the_others_stay() -> None:
    under = Preset(Defaults(temperature=0.5, top_p=0.9), Floors(temperature=0.1), Ceilings(temperature=1))
    upper = Preset(Defaults(temperature=0.7), ceilings=Ceilings(n=2))
    found = over(under, upper)
    assert dict(said(found.defaults)) == {"temperature": 0.7, "top_p": 0.9}
    assert dict(said(found.floors)) == {"temperature": 0.1}
    assert dict(said(found.ceilings)) == {"temperature": 1, "n": 2}
