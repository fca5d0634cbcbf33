"""A User-Agent becomes one of a few families, whatever it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.agents import FAMILIES, family


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("curl/8.5.0", "curl"),
        ("OpenAI/Python 3.52.0", "openai-python"),
        ("AsyncOpenAI/Python 3.52.0", "openai-python"),
        ("OpenAI/JS 7.55.0", "openai-node"),
        ("Anthropic/Python 0.60", "anthropic-sdk"),
        ("claude-cli/2.1.0 (external, cli)", "claude-code"),
        ("codex_cli_rs/0.140 (Mac OS 26)", "codex"),
        ("opencode/1.2", "opencode"),
        ("ollama/0.14 (arm64 darwin)", "ollama"),
        ("Mozilla/5.0 (Macintosh)", "browser"),
        ("my-own-thing openai/python", "other"),
    ],
)
def test_knows_the_programs_that_call(text: str, expected: str) -> None:
    assert family(text) == expected


@given(st.text(max_size=400))
def test_nothing_of_an_unknown_one_is_kept(text: str) -> None:
    assert family(text) in FAMILIES | {""}
