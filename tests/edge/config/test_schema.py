"""The schema, the example and the settings say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge.config.decode import Decoder
from edge.config.document import parse
from edge.config.leaves import Leaf
from edge.config.load import load
from edge.config.nodes import plain
from edge.config.schema import schema
from edge.config.settings import EngineSettings, Settings
from edge.config.shapes import Either, Listing, Maybe, Record, Shape, Table, shape_of
from edge.config.show import effective
from edge.identity.issuer import Issuer
from policies.grants import Grant, Hours
from policies.json import JSON, as_object

UNHURRIED = hypothesis_settings(deadline=None)  # a busy machine is no failure

EXAMPLE = Path(__file__).parents[3] / "deploy" / "gateway.example.yaml"
VALIDATOR = Draft202012Validator(schema())


def document(text: str) -> JSON:
    node = parse(text.encode(), "f")
    return {} if node is None else plain(node)


def test_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_defaults_are_valid() -> None:
    VALIDATOR.validate(effective(Settings()))


def test_the_example_is_valid_and_loads() -> None:
    VALIDATOR.validate(document(EXAMPLE.read_text()))
    settings = load(EXAMPLE, {})
    assert settings.engines.list[0].name == "box"


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = as_object(document(EXAMPLE.read_text()))
    assert list(differences(shape_of(Settings), shown, "")) == []


def differences(shape: Shape, node: JSON, path: str) -> list[str]:
    match shape, node:
        case Maybe(), _:
            return [] if node is None else differences(shape.inner, node, path)
        case Listing(), list():
            return [line for item in node for line in differences(shape.item, item, f"{path}[]")]
        case Record(), dict():
            lines = [f"{path}.{field.name} is missing" for field in shape.fields if field.name not in node]
            for field in shape.fields:
                lines += differences(field.shape, node.get(field.name), f"{path}.{field.name}")
            return lines
        case ((Leaf() | Table() | Listing() | Either() | Record()), _):
            return []


def test_every_example_default_is_the_real_one() -> None:
    """All but the parts that have no default: one engine, one issuer, one key, one alias, one grant, limits."""
    example, defaults = effective(load(EXAMPLE, {})), effective(Settings())
    for document in (example, defaults):
        as_object(document["engines"])["list"] = []
        as_object(document["identity"])["issuers"] = []
        as_object(document["models"]).update(aliases={}, presets={})
        document["keys"] = []
        as_object(document["policy"]).update(grants=[], networks={})
        as_object(document["limits"]).update(classes={}, rules=[])
    assert example == defaults
    got = load(EXAMPLE, {})
    assert got.engines.list[0] == EngineSettings(name="box", kind=got.engines.list[0].kind, url="http://127.0.0.1:9000")
    issuer = got.identity.issuers[0]
    assert got.policy.grants[0] == Grant("dev-chat", ("smollm2", "qwen*"), groups=("dev",), hours=(Hours(),))
    assert issuer == Issuer(issuer.name, issuer.issuer, issuer.audience, jwks_url=issuer.jwks_url)


@pytest.mark.parametrize(
    "text",
    [
        "queue: {limit: '${N}', wait: 5}",
        "queue: {limit: 1, wait: '${W}'}",
        "engines: {discover: '${F}', list: [{name: a, kind: '${K}', url: '${U}', api_key: '${S}'}]}",
        "stores: {database: null}",
        "listeners: [{name: a, bind: '127.0.0.1:1', tls: auto}, {name: b, bind: '127.0.0.1:2', tls: null}]",
        "listeners: [{name: a, bind: '127.0.0.1:1', tls: {cert_file: c.pem, key_file: k.pem}}]",
        "telemetry: {access_log: off}",
        "listeners: [{name: a, bind: '127.0.0.1:1', limits: {body_bytes: 1MiB, body_rate: 0.5}}]",
    ],
)
def test_what_the_decoder_takes_the_schema_takes(text: str) -> None:
    env = {"N": "7", "W": "1s", "F": "true", "K": "vllm", "U": "http://h", "S": "x"}
    decoder = Decoder("f", Path(), env)
    assert decoder.record(shape_of(Settings), parse(text.encode(), "f")), decoder.problems
    VALIDATOR.validate(document(text))


WORDS = st.sampled_from(
    [
        "1",
        "0",
        "-1",
        "1.5",
        "true",
        "off",
        "null",
        "''",
        "30s",
        "1MiB",
        "x",
        "'8'",
        "127.0.0.1:9",
        "[]",
        "{}",
        "vllm",
        "'a b'",
    ]
)
KEYS = st.sampled_from(
    ["limit", "wait", "discover", "list", "database", "access_log", "bind", "tls", "insecure", "aliases"]
)
PARTS = st.sampled_from(["queue", "engines", "stores", "telemetry", "admin", "models", "listeners", "nope"])


@UNHURRIED
@given(PARTS, st.dictionaries(KEYS, WORDS, max_size=3))
def test_whatever_the_decoder_takes_the_schema_takes(part: str, keys: dict[str, str]) -> None:
    text = f"{part}: {{{', '.join(f'{key}: {word}' for key, word in keys.items())}}}"
    decoder = Decoder("f", Path(), {})
    if decoder.record(shape_of(Settings), parse(text.encode(), "f")) is not None:
        VALIDATOR.validate(document(text))


def test_describes_the_limits_in_the_words_of_their_owner() -> None:
    listeners = as_object(as_object(schema()["properties"])["listeners"])
    listener = as_object(as_object(listeners["items"])["properties"])
    limits = as_object(as_object(listener["limits"])["properties"])
    assert "idle" in str(as_object(limits["keepalive_s"])["description"])
