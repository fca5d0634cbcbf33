"""Model Runner's own listing tells what is known, and makes nothing up."""

from __future__ import annotations

import re

from edge.dialects.model_runner.models import Tagged, listing, one

TINY = Tagged("org/tiny", "Org/Tiny", 1_700_000_000, 4096)
OTHER = Tagged("other", "other", 0, None)
EMPTY = {"format": "", "quantization": "", "parameters": "", "architecture": "", "size": ""}


def test_one_model() -> None:
    found = one(TINY)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", str(found.pop("id"))), "`docker model list` shows characters 7 to 19"
    assert found == {"tags": ["Org/Tiny"], "created": 1_700_000_000, "config": {**EMPTY, "context_size": 4096}}
    assert one(OTHER)["config"] == EMPTY


def test_a_listing_has_each_model_once() -> None:
    assert listing([TINY, OTHER, Tagged("org/tiny", "gpt", 0, 4096)]) == [
        {**one(TINY), "tags": ["Org/Tiny", "gpt"]},
        one(OTHER),
    ]
    assert listing([]) == []
