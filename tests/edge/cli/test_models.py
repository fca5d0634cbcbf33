"""Which model `models show` means, and what it prints."""

from __future__ import annotations

import pytest

from edge.cli.main import build_parser
from edge.cli.models import find
from policies.json import Object

_MODELS: list[Object] = [
    {"id": "Org/Tiny", "name": "org/tiny", "aliases": ["small"]},
    {"id": "small", "name": "small", "aliases": ["Other"]},
]


@pytest.mark.parametrize(
    ("name", "found"),
    [("org/tiny", 0), ("Org/Tiny:latest", 0), ("small", 0), ("SMALL", 0), ("other", 1), ("nothing", None), ("", None)],
)
def test_an_alias_comes_before_a_model_of_its_name(name: str, found: int | None) -> None:
    assert find(_MODELS, name) == (None if found is None else _MODELS[found])


@pytest.mark.parametrize("action", ["list", "show m", "pull m", "rm m"])
def test_the_actions_there_are(action: str) -> None:
    assert build_parser().parse_args(["models", *action.split()]).run is not None
