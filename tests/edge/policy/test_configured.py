"""What the configuration adds to a policy's data: joined, never loosened."""

from __future__ import annotations

from edge.policy.configured import configured_data, effective, merged
from policies.grants import Grant, policy_data
from policies.json import Object
from policies.rego import default_bundle

ANN, BOB = Grant("ann", ("a*",), users=("ann",)), Grant("bob", ("b*",), groups=("dev",), users=("ann",))


def test_without_anything_configured_a_policy_keeps_its_revision() -> None:
    assert configured_data(()) == {}
    assert effective(default_bundle(), {}).revision == default_bundle().revision


def test_grants_in_the_configuration_are_data_of_the_default_policy() -> None:
    configured = configured_data((ANN, BOB), max_tokens=100)
    assert effective(default_bundle(), configured).data == policy_data((ANN, BOB), max_tokens=100)


def test_grants_of_both_count() -> None:
    own = default_bundle(policy_data((ANN,)))
    assert effective(own, configured_data((BOB,))).data == policy_data((ANN, BOB))


def test_of_two_caps_the_tighter_holds() -> None:
    for ours, theirs in ((10, 20), (20, 10)):
        own = policy_data((), max_tokens=ours, timeout=5)
        caps = merged(own, configured_data((), max_tokens=theirs))["caps"]
        assert caps == {"max_tokens": 10, "timeout_s": 5}


def test_tables_are_joined_and_the_configurations_values_count() -> None:
    own: Object = {"a": {"b": 1, "c": [1]}, "d": 1, "e": 2}
    configured: Object = {"a": {"b": 2, "c": [2]}, "d": {"x": 1}}
    before = repr((own, configured))
    assert merged(own, configured) == {"a": {"b": 2, "c": [1, 2]}, "d": {"x": 1}, "e": 2}
    assert repr((own, configured)) == before
