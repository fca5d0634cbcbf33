"""A name in Docker's DNS is read for what it says, and for nothing that it does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.origin.names import Labels, container_of, guesses
from policies.origin import Container

OWN: Labels = ("app-gateway-1", "app_default")
LABELS = st.lists(st.text(max_size=12) | st.sampled_from(["app_default", "a", "net"]), max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("peer", "own", "found"),
    [
        (("app-web-1", "app_default"), OWN, ("app-web-1", "app_default")),
        (("my-app_we", "b_x_1", "app_default"), OWN, ("my-app_we.b_x_1", "app_default")),
        (("web", "my", "net"), ("gateway", "my", "net"), ("web", "my.net")),
        # Another DNS's word for the address: Docker asks the host's about what it does not know.
        (("laptop", "lan"), OWN, None),
        (("myhost",), OWN, None),
        # Names that no container can have, or that leave none.
        (("app_default",), OWN, None),
        ((), OWN, None),
        (("web", "app_default"), (), None),
        (("web",), ("web",), None),
        (OWN, OWN, None),
        (("-web", "app_default"), OWN, None),
        (("we b", "app_default"), OWN, None),
        (("we\nb", "app_default"), OWN, None),
        (("wéb", "app_default"), OWN, None),
        (("w" * 129, "app_default"), OWN, None),
    ],
)
def test_containers(peer: Labels, own: Labels, found: tuple[str, str] | None) -> None:
    assert container_of(peer, own) == (None if found is None else Container(*found))


@pytest.mark.parametrize(
    ("name", "network", "read"),
    [
        ("app-web-1", "app_default", [("app", "web")]),
        ("app_web_1", "app_default", [("app", "web")]),
        ("my-app-web-12", "my-app_default", [("my-app", "web"), ("my", "app-web")]),
        ("my-app-web-1", "my_default", [("my", "app-web"), ("my-app", "web")]),
        # Version 1: the project of the network, or one whose name is longer.
        ("a_b_web_1", "a_b_default", [("a_b", "web"), ("a", "b_web")]),
        ("my-app-web-1", "shared", [("my-app", "web"), ("my", "app-web")]),
        ("my_app-we.b_x-1", "my_app_default", [("my_app", "we.b_x")]),
        # Not what Compose makes.
        ("web", "app_default", []),
        ("app-web", "app_default", []),
        ("web-1", "app_default", []),
        ("app-web-0", "app_default", []),
        ("app-web_1", "app_default", []),
        ("App-web-1", "App_default", []),
        ("app-web-run-0f5c3b2a9d4e", "app_default", []),
        ("a-" * 20 + "web-1", "a_default", []),
    ],
)
def test_guesses(name: str, network: str, read: list[tuple[str, str]]) -> None:
    assert guesses(Container(name, network)) == [Container(name, network, *each) for each in read]


@given(LABELS, LABELS)
def test_whatever_is_answered_only_names_come_of_it(peer: Labels, own: Labels) -> None:
    found = container_of(peer, own)
    if found is None:
        return
    assert f"{found.name}.{found.network}" == ".".join(peer)
    for each in (found, *guesses(found)):
        for text in (each.name, each.network, each.stack, each.service):
            assert re.fullmatch(r"[A-Za-z0-9_.-]{0,128}", text)


@given(
    st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,12}\Z"),
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,12}\Z"),
    st.integers(1, 99999),
    st.sampled_from("-_"),
)
def test_what_compose_calls_a_container_is_among_the_guesses(stack: str, service: str, number: int, mark: str) -> None:
    name = mark.join((stack, service, str(number)))
    found = guesses(Container(name, f"{stack}_default"))
    if name.count(mark) < 9:
        assert Container(name, f"{stack}_default", stack, service) in found
