"""What an operator types is checked before it is stored."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from edge.identity import grant as checks
from edge.identity.grant import Grant
from policies.principal import Scope


@pytest.mark.parametrize("text", ["ci", "Ann's laptop", "日本", "x" * 64])
def test_labels(text: str) -> None:
    assert checks.label(text) == text


@pytest.mark.parametrize("text", ["", " ", "a ", "a\n", "x" * 65, "\x1b[31m", "a\u202eb", "a\u200bb", "\ud800"])
def test_labels_that_could_disturb_a_terminal_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        checks.label(text)


def test_scopes_are_the_known_ones() -> None:
    assert checks.scope("models:read") is Scope.MODELS_READ
    with pytest.raises(ValueError, match="inference, models:read"):
        checks.scope("Inference")


@pytest.mark.parametrize("text", ["", "a b", "a\n", "x" * 257, "é", "[a]"])
def test_a_glob_is_a_model_name_with_wildcards(text: str) -> None:
    assert checks.glob("ai/llama3.?:*") == "ai/llama3.?:*"
    with pytest.raises(ValueError, match="model"):
        checks.glob(text)


@pytest.mark.parametrize("text", ["", "-a", "a b", "x" * 33])
def test_words(text: str) -> None:
    assert checks.word("lan-1") == "lan-1"
    with pytest.raises(ValueError, match="letter or digit"):
        checks.word(text)


def test_networks() -> None:
    assert checks.network("10.1.2.3") == ip_network("10.1.2.3/32")
    assert checks.network("fd00::/8") == ip_network("fd00::/8")
    with pytest.raises(ValueError, match=r"write 192\.168\.1\.0/24 or 192\.168\.1\.5"):
        checks.network("192.168.1.5/24")
    with pytest.raises(ValueError, match="write a network as"):
        checks.network("lan")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "1_000", "٣", "9" * 17, "9" * 5000])
def test_counts_are_whole_and_positive(text: str) -> None:
    assert checks.count("100000") == 100_000
    with pytest.raises(ValueError, match="at least 1"):
        checks.count(text)


def test_a_grant_without_scope_or_with_endless_lists_is_refused() -> None:
    with pytest.raises(ValueError, match="scope"):
        Grant("a", scopes=())
    with pytest.raises(ValueError, match="256"):
        Grant("a", groups=tuple(map(str, range(257))))
