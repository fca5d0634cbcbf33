"""An alias can never walk round a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.names import bare, canonical, is_name, matches

NAMES = st.from_regex(r"\A(docker\.io/|ai/|library/|hf\.co/|AI/)*[a-zA-Z0-9][a-zA-Z0-9._/-]{0,20}(:latest|:7b)*\Z")


@given(NAMES)
def test_canonical_is_idempotent(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("ai/SmolLM2:latest", "smollm2"),
        ("docker.io/ai/smollm2", "smollm2"),
        ("ai/ai/smollm2", "smollm2"),
        ("registry.ollama.ai/library/llama3", "llama3"),
        ("LLAMA3:latest", "llama3"),
        ("llama3:latest:latest", "llama3"),
        ("hf.co/Org/Repo", "huggingface.co/org/repo"),
        ("ai/llama3.2:3B-Q4_K_M", "llama3.2:3b-q4_k_m"),
        ("ai/", "ai/"),
    ],
)
def test_spellings_fall_onto_one_name(spelling: str, name: str) -> None:
    assert canonical(spelling) == name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("ai/Llama3.2:3B-Q4_K_M", "Llama3.2:3B-Q4_K_M"),
        ("Docker.IO/AI/ai/SmolLM2:Latest:latest", "SmolLM2"),
        ("registry.ollama.ai/library/x", "x"),
        ("hf.co/Org/Repo:Q4", "hf.co/Org/Repo:Q4"),
        ("ai/ai", "ai"),
    ],
)
def test_a_bare_name_keeps_its_letters(spelling: str, name: str) -> None:
    assert bare(spelling) == name


@given(NAMES)
def test_a_bare_name_means_the_same_model_and_there_is_nothing_more_to_take_away(name: str) -> None:
    assert canonical(bare(name)) == canonical(name)
    assert bare(bare(name)) == bare(name)
    assert bare(name) in name


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("*", "huggingface.co/org/repo", True),
        ("ai/*", "smollm2", True),
        ("ai/*", "huggingface.co/org/repo", False),
        ("ai/?", "a", True),
        ("*:latest", "m", True),
        ("*:latest", "secret-model:70b", False),
        ("llama*:latest", "llama3", True),
        ("llama*:latest", "llama3:70b", False),
        ("ai/*:latest", "org/m", False),
        ("?:latest", ":", False),
        ("qwen*", "qwen2.5:7b", True),
        ("qwen*", "evil-qwen", False),
        ("QWEN2.5:latest", "qwen2.5", True),
        ("hf.co/org/*", "huggingface.co/org/repo", True),
        ("hf.co/org/*", "huggingface.co/other/repo", False),
        ("a.c", "abc", False),
        ("tiny", "tiny\n", False),
    ],
)
def test_globs_cover_what_they_say_and_no_more(pattern: str, name: str, *, covered: bool) -> None:
    assert matches(pattern, name) is covered


@given(NAMES)
def test_a_name_used_as_a_pattern_covers_itself(name: str) -> None:
    assert matches(name, canonical(name))


@pytest.mark.parametrize("text", ["", "a b", "a\0b", "../x", "a//b", "\u212a", "a" * 257, "-x", "a\n", "a%2fb"])
def test_what_cannot_be_a_name(text: str) -> None:
    assert not is_name(text)
