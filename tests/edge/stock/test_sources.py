"""No caller sends an engine to a host of its choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.stock.settings import PullSettings
from edge.stock.sources import check_source, registry
from policies.errors import Refusal
from policies.names import bare, is_name
from policies.reasons import Reason


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("smollm2", ""),
        ("ai/smollm2:latest", ""),
        ("docker.io/ai/smollm2", ""),
        ("registry.ollama.ai/library/llama3", ""),
        ("somebody/model:7b", ""),
        ("docker.io/somebody/model", ""),
        ("hf.co/Org/Repo", "huggingface.co"),
        ("huggingface.co/org/repo:Q4", "huggingface.co"),
        ("10.0.0.5/x", "10.0.0.5"),
        ("10.0.0.5:5000/x/y", "10.0.0.5:5000"),
        ("localhost/x", "localhost"),
        ("LOCALHOST/x", "localhost"),
        ("box/team/model", "box"),  # a host to Ollama
        ("docker.io/box/team/model", "box"),
        ("box:80/x", "box:80"),
        ("user@box/x", "user@box"),
        ("ghcr.io/x/y", "ghcr.io"),
    ],
)
def test_the_host_of_a_name(name: str, host: str) -> None:
    assert registry(name) == host


@pytest.mark.parametrize("spelling", ["hf.co/Org/Repo", "huggingface.co/org/repo", "HF.co/org/repo:Q4"])
@pytest.mark.parametrize("allowed", ["hf.co", "huggingface.co"])
def test_one_that_is_configured_is_allowed_however_it_is_spelt(spelling: str, allowed: str) -> None:
    check_source(spelling, [allowed])
    with pytest.raises(Refusal) as refused:
        check_source(spelling, ["ghcr.io"])
    assert refused.value.reason is Reason.REGISTRY_NOT_PERMITTED


@pytest.mark.parametrize("allowed", [[], ["huggingface.co"]])
def test_an_engines_own_registry_needs_no_leave(allowed: list[str]) -> None:
    check_source("ai/smollm2", allowed)
    check_source("somebody/model", allowed)


PARTS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:@-]{0,8}\Z").filter(is_name)


@given(st.lists(PARTS, min_size=1, max_size=5))
def test_without_leave_nothing_with_a_host_to_any_engine_goes_out(parts: list[str]) -> None:
    """What is sent has at most two parts, and the first of two is no host to Docker's parsers."""
    name = "/".join(parts)
    try:
        check_source(name, [])
    except Refusal:
        return
    sent = bare(name).split("/")
    assert len(sent) <= 2
    if len(sent) == 2:
        assert sent[0].lower() != "localhost"
        assert not {".", ":", "@"} & set(sent[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"registries": ("https://hf.co",)},
        {"registries": ("HF.co",)},
        {"registries": ("hf.co/org",)},
        {"registries": ("",)},
        {"at_once": 0},
        {"per_caller": 0},
        {"per_caller": 3, "at_once": 2},
        {"at_once": 65},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|are host names"):
        PullSettings(**wrong)  # type: ignore[arg-type]  # as the decoder would
