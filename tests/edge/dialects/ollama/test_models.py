"""Ollama's listings tell what is known, and make nothing up."""

from __future__ import annotations

import math

from edge.dialects.ollama import models
from edge.dialects.ollama.models import Shown
from policies.json import as_list, as_object

TINY = Shown("Org/Tiny", "org/tiny", 1_700_000_000, 4096)
OTHER = Shown("other", "other", 0, None)
DETAILS = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


def test_tags() -> None:
    found = [as_object(each) for each in as_list(models.tags([TINY, OTHER])["models"])]
    digest = found[0].pop("digest")
    assert found[0] == {
        "name": "Org/Tiny",
        "model": "Org/Tiny",
        "modified_at": "2023-11-14T22:13:20Z",
        "size": 0,
        "details": {**DETAILS, "context_length": 4096},
        "capabilities": ["completion", "tools"],
    }
    assert found[1]["details"] == DETAILS
    assert len(str(digest)) == 64
    assert digest != found[1]["digest"]


def test_an_alias_has_the_digest_of_its_model() -> None:
    alias = Shown("gpt", "org/tiny", 0, None)
    one, other = (as_object(each) for each in as_list(models.tags([TINY, alias])["models"]))
    assert one["digest"] == other["digest"]


def test_what_is_loaded_and_until_when() -> None:
    left = {"org/tiny": 90.5, "other": math.inf, "gone": 0.0}
    shown = [TINY, OTHER, Shown("gone", "gone", 0, None)]
    found = [as_object(each) for each in as_list(models.loaded(shown, left.__getitem__, 1_700_000_000)["models"])]
    assert [(each["name"], each["expires_at"], each["context_length"]) for each in found] == [
        ("Org/Tiny", "2023-11-14T22:14:50Z", 4096),
        ("other", "2262-01-01T00:00:00Z", 0),
    ]


def test_editors_find_the_length_of_the_context() -> None:
    info = as_object(models.show(TINY)["model_info"])
    assert info[f"{info['general.architecture']}.context_length"] == 4096
    assert set(as_object(models.show(OTHER)["model_info"])) == {"general.architecture", "general.basename"}
    assert models.show(TINY)["capabilities"] == ["completion", "tools"]
