"""The default policy and the gateway agree on what a credential may at all, and grants never lift that ceiling.

Networks and listeners of the credential, and its expiry, are not in the input: those stay the gateway's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

from hypothesis import assume, given
from hypothesis import strategies as st

from policies.call import Operation
from policies.decision import may_use, within_bounds
from policies.grants import OPERATIONS, Grant, Hours, policy_data
from policies.input import PolicyInput
from policies.json import Object
from policies.names import matches
from policies.rego import default_bundle
from tests.policies.rego_engine import InProcess
from tests.policies.strategies import CANONICAL, GLOBS, INPUTS

# A question about oneself is told as a listing, and who one is needs no policy.
ASKED = INPUTS.filter(lambda asked: asked.operation is not Operation.ME).map(
    lambda asked: replace(
        asked, principal=replace(asked.principal, networks=(), listeners=frozenset(), expires_at=None)
    )
)
# Few names, so that globs cover them now and then.
SMALL = st.sampled_from(["tiny", "tiny:7b", "qwen3", "huggingface.co/a/b"])
SMALL_GLOBS = st.sampled_from(["*", "tiny", "tiny*", "ai/*", "*:latest", "q?en3", "hf.co/*", "none"])
LIKELY = st.builds(
    lambda asked, globs, name, models: replace(
        asked,
        principal=replace(asked.principal, models=tuple(globs), groups=frozenset({"dev"})),
        model=replace(asked.model, resolved=name),
        models=tuple(models),
        shape=replace(asked.shape, tools=0, images=0),
    ),
    ASKED,
    st.lists(SMALL_GLOBS, max_size=2),
    SMALL | st.just(""),
    st.lists(SMALL, unique=True),
)
GRANTS = st.builds(
    Grant,
    id=st.just("g"),
    models=st.lists(SMALL_GLOBS, min_size=1, max_size=2).map(tuple),
    groups=st.sampled_from([("dev",), ("ops",)]),
    operations=st.sets(st.sampled_from(OPERATIONS), min_size=1).map(tuple),
    hours=st.just(()) | st.builds(Hours, start=st.integers(0, 23), end=st.integers(0, 24)).map(lambda one: (one,)),
    aliases=st.sampled_from([{}, {"tiny": "qwen3"}, {"gone": "tiny"}]),
)


@cache
def engine(data: str = "") -> InProcess:
    return InProcess(default_bundle(json.loads(data) if data else None))


def with_grants(grants: list[Grant]) -> InProcess:
    numbered = [replace(grant, id=f"g{i}") for i, grant in enumerate(grants)]
    try:
        return engine(json.dumps(policy_data(numbered)))
    except ValueError:  # aliases that cannot be in force together
        assume(condition=False)
        raise


@given(ASKED | LIKELY)
def test_without_grants_the_policy_says_what_the_gateway_says(asked: PolicyInput) -> None:
    decision = engine().decide(asked.document())
    denial = within_bounds(asked)
    assert decision.allow == (denial is None)
    if denial is not None:
        assert decision.codes == (denial.reason.value,)


@given(LIKELY, st.lists(GRANTS, min_size=1, max_size=3))
def test_grants_never_lift_the_ceiling(asked: PolicyInput, grants: list[Grant]) -> None:
    decision = with_grants(grants).decide(asked.document())
    if decision.allow:
        assert within_bounds(asked) is None
        target = decision.obligations.model
        assert target is None or may_use(asked.principal, target)
        assert all(may_use(asked.principal, name) for name in decision.obligations.models or ())


@given(LIKELY, st.lists(GRANTS, min_size=1, max_size=3))
def test_a_yes_rests_on_grants(asked: PolicyInput, grants: list[Grant]) -> None:
    """What the policy does with grants, said once more in Python."""
    hour = asked.time.weekday * 24 + asked.time.hour
    mine = [
        grant
        for grant in grants
        if grant.groups == ("dev",)
        and asked.operation in grant.operations
        and (not grant.hours or hour in grant.hours[0].of_week())
    ]
    targets = [grant.aliases[asked.model.resolved] for grant in mine if asked.model.resolved in grant.aliases]
    target = targets[0] if targets else asked.model.resolved
    listing = asked.operation is Operation.MODELS_LIST
    matching = [grant for grant in mine if listing or any(matches(glob, target) for glob in grant.models)]
    reachable = listing or may_use(asked.principal, target)
    expected = within_bounds(asked) is None and reachable and bool(matching)
    decision = with_grants(grants).decide(asked.document())
    assert decision.allow == expected
    if expected and not listing:
        assert (decision.obligations.model or asked.model.resolved) == target


@given(LIKELY, st.lists(GRANTS, min_size=1, max_size=3))
def test_a_redirect_is_allowed_when_it_is_asked_again(asked: PolicyInput, grants: list[Grant]) -> None:
    first = with_grants(grants).decide(asked.document())
    if first.allow and first.obligations.model is not None:
        again = replace(asked, model=replace(asked.model, resolved=first.obligations.model))
        second = with_grants(grants).decide(again.document())
        assert (second.allow, second.obligations.model) == (True, None)


@given(LIKELY, st.lists(GRANTS, max_size=3), GLOBS, CANONICAL)
def test_a_listing_shows_what_may_be_used(asked: PolicyInput, grants: list[Grant], glob: str, name: str) -> None:
    """One decision on a listing says what one decision per model would say."""
    grants = [replace(grant, operations=OPERATIONS, aliases={}) for grant in grants]
    asked = replace(asked, models=tuple({*asked.models, name}), principal=replace(asked.principal, models=(glob, "t*")))
    policy = with_grants(grants)
    listing: Object = replace(
        asked, operation=Operation.MODELS_LIST, model=replace(asked.model, resolved="")
    ).document()
    decision = policy.decide(listing)
    shown = decision.obligations.models if decision.obligations.models is not None else frozenset(asked.models)
    for candidate in asked.models:
        one = replace(asked, operation=Operation.MODELS_SHOW, model=replace(asked.model, resolved=candidate))
        assert policy.decide(one.document()).allow == (decision.allow and candidate in shown)
