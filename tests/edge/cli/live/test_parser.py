"""Times as people type them."""

from __future__ import annotations

import argparse

import pytest

from edge.cli.live.parser import span


@pytest.mark.parametrize(("text", "seconds"), [("2s", 2.0), ("500ms", 0.5), ("1.5", 1.5), ("1m", 60.0)])
def test_times_have_units(text: str, seconds: float) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1h", "1 s", "nan", "٣"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        span(text)
