"""What a stack's service is called: names that keys can have, and different ones for different services."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.identity.grant import label
from edge.identity.stack import StackService

PROJECTS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,100}", fullmatch=True)
SERVICES = st.from_regex(r"[a-zA-Z0-9._-]{1,100}", fullmatch=True)


def test_names_are_the_stacks() -> None:
    which = StackService("shop", "llm")
    assert (which.owner, which.name) == ("compose:shop", "shop/llm")


@given(PROJECTS, SERVICES, PROJECTS, SERVICES)
def test_every_name_fits_a_key_and_two_services_never_share_one(p: str, s: str, q: str, t: str) -> None:
    one, other = StackService(p, s), StackService(q, t)
    assert label(one.name) == one.name
    assert label(one.owner) == one.owner
    assert ((one.owner, one.name) == (other.owner, other.name)) == ((p, s) == (q, t))


@pytest.mark.parametrize(("project", "service"), [("", "a"), ("A", "a"), ("a", ""), ("a", "a b"), ("a", "é")])
def test_what_compose_never_calls_anything_is_refused(project: str, service: str) -> None:
    with pytest.raises(ValueError, match="name is of"):
        StackService(project, service)
