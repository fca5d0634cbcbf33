"""docs/policy.md says what is so: its examples do what it says, and it leaves out nothing that there is."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from pathlib import Path

import pytest

from edge.config.load import load
from policies.bundle import Bundle
from policies.embedded.workshop import inspect
from policies.grants import Grant, policy_data
from policies.input import Place, Shape
from policies.json import Object, as_object
from policies.obligations import NAMES
from policies.origin import NO_CONTAINER, Container
from policies.principal import DEFAULT_SCOPES, Principal
from policies.rego import default_bundle
from policies.schemas import schema
from tests.policies.asking import question
from tests.policies.rego_engine import InProcess

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "policies" / "rego" / "examples" / "quota.rego").read_text(encoding="utf-8")


def fenced(language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[number])


def caller(*groups: str) -> Principal:
    return Principal("ann", "k1", "ci", "key", frozenset(groups), DEFAULT_SCOPES)


def test_the_first_grant_does_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(fenced("yaml"))
    (grant,) = load(tmp_path / "gateway.yaml", {}).policy.grants
    policy = InProcess(default_bundle(policy_data([grant])))
    for model in ("qwen3", "llama3.2:3b"):
        decision = policy.decide(question(caller("dev"), model=model).document())
        assert (decision.allow, decision.obligations.max_tokens) == (True, 2048)
    assert not policy.decide(question(caller("dev"), model="mistral").document()).allow
    assert not policy.decide(question(caller("ops"), model="qwen3").document()).allow


def test_the_addition_does_what_the_page_says() -> None:
    bundle = default_bundle()
    policy = InProcess(Bundle({**bundle.modules, "guests.rego": fenced("rego", 1)}, {}, bundle.data))
    asked = question(caller("guests"), shape=Shape(images=1))  # on a Saturday
    assert isinstance(asked.place, Place)
    assert policy.decide(asked.document()).codes == ("no_guest_images",)
    assert policy.decide(question(caller("dev"), shape=Shape(images=1)).document()).allow
    assert policy.decide(question(caller("guests")).document()).allow


async def test_the_addition_about_containers_does_what_the_page_says() -> None:
    bundle = default_bundle()
    longer = Bundle({**bundle.modules, "stacks.rego": fenced("rego")}, {}, bundle.data)
    inspection = await inspect(longer)
    assert (inspection.problems, inspection.reads.volatile, inspection.reads.whole) == ((), False, False)
    policy = InProcess(longer)
    shop = replace(caller(), id="shop")

    def asked(who: Principal, container: Container) -> Object:
        place = Place("172.18.0.2", (), "local", 8080, container=container)
        return replace(question(who), place=place).document()

    other, web = Container("shop-db-1", "shop_default", "shop", "db"), Container("w", "n", "shop", "web")
    assert policy.decide(asked(shop, other)).codes == ("other_service",)
    assert policy.decide(asked(shop, web)).allow
    assert policy.decide(asked(shop, NO_CONTAINER)).allow
    assert policy.decide(asked(caller(), other)).allow


async def test_check_has_nothing_against_the_default_policy_and_its_answers_are_kept() -> None:
    inspection = await inspect(default_bundle())
    assert inspection.problems == ()
    assert not inspection.reads.volatile
    assert not inspection.reads.whole


async def test_the_quota_example_is_volatile() -> None:
    bundle = default_bundle()
    inspection = await inspect(Bundle({**bundle.modules, "quota.rego": EXAMPLE}, {}, bundle.data))
    assert inspection.ok
    assert inspection.reads.volatile


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Grant)])
def test_every_key_of_a_grant_is_told(name: str) -> None:
    assert f"`{name}`" in TEXT.partition("## Grants")[2].partition("## The input document")[0]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_obligation_is_told(name: str) -> None:
    assert f"| `{name}` |" in TEXT.partition("Obligations are")[2]


def test_every_field_of_the_input_is_told() -> None:
    told = TEXT.partition("## The input document")[2].partition("## The result document")[0]
    for section, part in as_object(schema("input")["properties"]).items():
        inner = as_object(as_object(part).get("properties"))
        names = [section] if not inner else [f"{section}.*"] if f"`{section}.*`" in told else [*inner]
        assert [name for name in names if not re.search(rf"[`.]{re.escape(name)}`", told)] == [], section


def test_links_lead_somewhere() -> None:
    ours = {"policy-lifecycle.md", "policy-fleet.md"}
    links = set(re.findall(r"\]\(([^)#:]+)\)", TEXT))
    assert ours <= links
    assert [link for link in links - ours if not (ROOT / "docs" / link).exists()] == []
