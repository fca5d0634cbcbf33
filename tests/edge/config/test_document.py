"""Text -> nodes: only plain YAML, never anything that constructs, expands or hides."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.config.document import MAX_BYTES, parse
from edge.config.nodes import Entry, Mapping, Mark, Scalar, plain
from edge.config.problems import ConfigError

UNHURRIED = hypothesis_settings(deadline=None)  # a busy machine is no failure


def refusal(data: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(data, "f")
    return str(caught.value)


def test_knows_the_place_of_keys_and_values() -> None:
    node = parse(b"# head\na:\n  b: 'c'\n", "f")
    inner = Mapping((Entry("b", Mark(3, 3), Scalar("c", plain=False, mark=Mark(3, 6))),), Mark(3, 3))
    assert node == Mapping((Entry("a", Mark(2, 1), inner),), Mark(2, 1))


@pytest.mark.parametrize("data", [b"", b"# only a comment\n", b"\xef\xbb\xbf", b"---\n", b"null\n"])
def test_an_empty_document_is_none(data: bytes) -> None:
    assert parse(data, "f") is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: !!python/object/apply:os.system [id]\n", "f:1:4: tags"),
        (b"a: !include x\n", "f:1:4: tags"),
        (b"!!map {a: 1}\n", "f:1:1: tags"),
        (b"a: &x 1\n", "f:1:4: anchors"),
        (b"a: &x 1\nb: *x\n", "f:1:4: anchors"),
        (b"b: *x\n", "f:1:4: aliases"),
        (b"a: 1\n---\nb: 2\n", "f:2:1: a second document"),
        (b"[a]: 1\n", "f:1:1: a key must be a plain name"),
        (b"a: [1\n", "f:2:1: is not valid YAML"),
        (b"a: 1\nb: \xff\n", "f:2:4: is not UTF-8"),
        (b"a: \x00\n", "does not allow"),
        (b"[" * 40 + b"]" * 40, "f:1:33: is nested more than 32"),
        (b"#" * (MAX_BYTES + 1), "f: is larger than"),
    ],
)
def test_refuses_with_the_place(data: bytes, said: str) -> None:
    assert said in refusal(data)


def test_billion_laughs_stops_at_the_first_anchor() -> None:
    lines = [b"a0: &a0 [x, x]"] + [
        b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 10)
    ]
    assert refusal(b"\n".join(lines)).startswith("f:1:5: anchors")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("08", 8),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2026-01-01", "2026-01-01"),
        ('"8"', "8"),
        ("0x1F", "0x1F"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    node = parse(f"a: {text}".encode(), "f")
    assert node is not None
    assert plain(node) == {"a": value}


@UNHURRIED
@given(st.binary(max_size=200) | st.text(alphabet="ab:[]{}&*!|>-#'\"\n ,?%$", max_size=60).map(str.encode))
def test_any_bytes_parse_or_raise_the_one_error(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse(data, "f")
