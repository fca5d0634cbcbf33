"""One object that every parser reads alike, within its limits; anything else is refused, soon and cheaply."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.intake.strict_json import INT_HIGH, INT_LOW, Limits, measure, parse, serialize
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused

# What JSONTestSuite calls n_ (must be refused), each inside or beside an object since the top level has to be one.
WRONG: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "a scalar": b"1",
    "a string": b'"a"',
    "null": b"null",
    "an array": b"[]",
    "an array of objects": b"[{}]",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16 with mark": '{"a":1}'.encode("utf-16"),
    "UTF-16 LE": '{"a":1}'.encode("utf-16-le"),
    "UTF-16 BE": '{"a":1}'.encode("utf-16-be"),
    "UTF-32": '{"a":1}'.encode("utf-32-le"),
    "Latin-1": '{"a":"é"}'.encode("latin-1"),
    "overlong NUL": b'{"a":"\xc0\x80"}',
    "overlong slash": b'{"a":"\xe0\x80\xaf"}',
    "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "beyond Unicode": b'{"a":"\xf4\xbf\xbf\xbf"}',
    "truncated UTF-8": b'{"a":"\xe2\x82"}',
    "bad UTF-8 in a key": b'{"\xff":1}',
    "lone high surrogate": rb'{"a":"\ud800"}',
    "lone low surrogate": rb'{"a":"\udc00"}',
    "surrogates swapped": rb'{"a":"\udc00\ud800"}',
    "high surrogate, then text": rb'{"a":"\ud800x"}',
    "high surrogate, then high": rb'{"a":"\ud800\ud800"}',
    "lone surrogate in a key": rb'{"\uDBFF":1}',
    "two documents": b'{"model":"a"} {"model":"b"}',
    "two lines": b'{"model":"a"}\n{"model":"b"}',
    "garbage behind": b'{"model":"a"}garbage',
    "comma behind": b"{},",
    "NUL behind": b"{}\x00",
    "brace too many": b"{}}",
    "no-break space behind": b"{}\xc2\xa0",
    "form feed before": b"\x0c{}",
    "line separator": b'{\xe2\x80\xa8"a":1}',
    "same key": b'{"a":1,"a":1}',
    "same key, same object": b'{"o":{"x":1},"o":{"y":2}}',
    "same key, deep": b'{"a":[{"b":{"c":1,"d":2,"c":1}}]}',
    "same key, escaped": rb'{"model":"a","\u006dodel":"b"}',
    "same key, escaped quote": rb'{"\"":1,"\u0022":2}',
    "same key, spaced colon": b'{"a" :1,"a"\t:\n2}',
    "same empty key": b'{"":1,"":2}',
    "same key beside a colon in text": b'{"a":"x:y","a":"::"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "infinite by exponent": b'{"a":1e400}',
    "minus infinite by exponent": b'{"a":-1E+400}',
    "infinite by digits": b'{"a":' + b"9" * 400 + b"}",
    "one above 63 bits": b'{"a":9223372036854775808}',
    "one below 63 bits": b'{"a":-9223372036854775809}',
    "64 bits": b'{"a":18446744073709551615}',
    "65 bits": b'{"a":18446744073709551616}',
    "5,000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "long integer inside": b'{"a":[1,{"b":123456789012345678901}]}',
    "long fraction": b'{"a":0.' + b"1" * 100 + b"}",
    "long exponent": b'{"a":1e' + b"0" * 100 + b"1}",
    "leading zero": b'{"a":01}',
    "minus leading zero": b'{"a":-01}',
    "plus": b'{"a":+1}',
    "no integer part": b'{"a":.5}',
    "no fraction": b'{"a":1.}',
    "no exponent": b'{"a":1e}',
    "lone minus": b'{"a":-}',
    "hexadecimal": b'{"a":0x1}',
    "underscore": b'{"a":1_000}',
    "full-width digit": '{"a":\uff11}'.encode(),
    "comma at the end": b'{"a":1,}',
    "comma at the end of a list": b'{"a":[1,]}',
    "comma at the start": b'{,"a":1}',
    "two commas": b'{"a":[1,,2]}',
    "no comma": b'{"a":1 "b":2}',
    "no colon": b'{"a" 1}',
    "two colons": b'{"a"::1}',
    "no value": b'{"a":}',
    "bare key": b"{a:1}",
    "single quotes": b"{'a':1}",
    "comment": b'{"a":1/**/}',
    "line comment": b'{"a":1}//x',
    "True": b'{"a":True}',
    "nul": b'{"a":nul}',
    "tab in a string": b'{"a":"\t"}',
    "line feed in a string": b'{"a":"\n"}',
    "NUL in a string": b'{"a":"\x00"}',
    "unknown escape": rb'{"a":"\x41"}',
    "escaped apostrophe": rb'{"a":"\'"}',
    "short escape": rb'{"a":"\u00e"}',
    "open string": b'{"a":"',
    "open string after escape": b'{"a":"\\',
    "open string after escaped quote": b'{"a":"\\"',
    "open object": b'{"a":1',
    "open list": b'{"a":[1',
    "crossed brackets": b'{"a":[}]',
    "escape outside": b'{\\"a":1}',
}

# y_: must be read, and as this.
RIGHT: dict[str, tuple[bytes, Object]] = {
    "empty object": (b"{}", {}),
    "white space": (b' \t\r\n{ "a" : [ 1 , 2 ] }\n', {"a": [1, 2]}),
    "empty key": (b'{"":0}', {"": 0}),
    "keys that differ in case": (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    "same key in two objects": (b'{"a":{"x":1},"b":{"x":1}}', {"a": {"x": 1}, "b": {"x": 1}}),
    "NUL escaped": (rb'{"a":"\u0000"}', {"a": "\0"}),
    "DEL": (b'{"a":"\x7f"}', {"a": "\x7f"}),
    "all escapes": (rb'{"a":"\"\\\/\b\f\n\r\t"}', {"a": '"\\/\b\f\n\r\t'}),
    "backslash at the end": (rb'{"a":"\\","b":"\\\\"}', {"a": "\\", "b": "\\\\"}),
    "backslash, quote": (rb'{"a":"\\\"","b":1}', {"a": '\\"', "b": 1}),
    "structure in text": (rb'{"a":"{\"b\":[1,2],\"b\":3}"}', {"a": '{"b":[1,2],"b":3}'}),
    "structure in a key": (rb'{"\":{[,":1}', {'":{[,': 1}),
    "surrogate pair": (rb'{"a":"\ud83d\ude00"}', {"a": "😀"}),
    "non-characters": (rb'{"a":"\uFFFF\uDBFF\uDFFF"}', {"a": "\uffff\U0010ffff"}),
    "four bytes": ('{"a":"😀"}'.encode(), {"a": "😀"}),
    "no normalisation": ('{"a":"e\u0301","\u212a":1,"K":2}'.encode(), {"a": "e\u0301", "\u212a": 1, "K": 2}),
    "largest integer": (b'{"a":9223372036854775807}', {"a": INT_HIGH}),
    "smallest integer": (b'{"a":-9223372036854775808}', {"a": INT_LOW}),
    "minus zero": (b'{"a":-0}', {"a": 0}),
    "float with an exponent": (b'{"a":[1e2,1E+2,10e-1,0.5e0]}', {"a": [100.0, 100.0, 1.0, 0.5]}),
    "underflow": (b'{"a":1e-400}', {"a": 0.0}),
    "20 digits of fraction": (b'{"a":0.12345678901234567890}', {"a": 0.12345678901234568}),
    "large float": (b'{"a":1.7976931348623157e308}', {"a": 1.7976931348623157e308}),
    "a float of 1e20": (b'{"a":1e20}', {"a": 1e20}),
    "literals": (b'{"a":[true,false,null]}', {"a": [True, False, None]}),
    "digits": (b'{"a":"' + b"1" * 30 + b'","b":1234567890123456789}', {"a": "1" * 30, "b": 1234567890123456789}),
    "64 levels": (b'{"a":' + b"[" * 63 + b"]" * 63 + b"}", json.loads(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")),
}  # fmt: skip


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_what_is_not_strict_is_refused(body: bytes) -> None:
    with refused(Reason.INVALID_JSON):
        parse(body)


@pytest.mark.parametrize(("body", "document"), RIGHT.values(), ids=RIGHT.keys())
def test_what_is_strict_is_read(body: bytes, document: Object) -> None:
    assert parse(body) == document
    assert json.loads(body) == document


scalars = (
    st.none()
    | st.booleans()
    | st.integers(INT_LOW, INT_HIGH)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.text(st.sampled_from('"\\/bnu{}[],:0 é😀'))
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.text(st.sampled_from('"\\:{,u0'), max_size=5)
values: st.SearchStrategy[JSON] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5), max_leaves=30
)
documents: st.SearchStrategy[Object] = st.dictionaries(keys, values, max_size=5)


@CALM
@given(documents, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_any_writer_writes_is_read_as_it_was(document: Object, ascii_only: bool, indent: int | str | None) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    assert parse(body) == document
    assert parse(serialize(parse(body))) == document


def _spell(key: str, how: Callable[[str], str]) -> str:
    return '"' + how(key) + '"'


def _plainly(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)[1:-1]


def _by_escapes(key: str) -> str:
    units = key.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))


spellings = st.sampled_from([_plainly, _by_escapes])


@CALM
@given(
    documents, keys, st.tuples(values, values), st.lists(st.integers(0, 2), max_size=6), st.tuples(spellings, spellings)
)
def test_a_repeated_key_is_refused_wherever_and_however_it_is_written(
    document: Object,
    key: str,
    two: tuple[JSON, JSON],
    nest: list[int],
    spelt: tuple[Callable[[str], str], Callable[[str], str]],
) -> None:
    document.pop(key, None)
    members = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in document.items()]
    members.append(f"{_spell(key, spelt[0])}:{json.dumps(two[0])}")
    members.insert(0, f"{_spell(key, spelt[1])} :{json.dumps(two[1])}")
    text = "{" + ",".join(members) + "}"
    for wrap in nest:
        text = ['{"a":%s}', '{"x:\\"":[%s]}', '{"a":[[0],{"b":%s}]}'][wrap] % text
    with refused(Reason.INVALID_JSON):
        parse(text.encode())


@CALM
@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]",:\\ue01a-. \n'), max_size=40).map(str.encode))
@example(b'{"a":"\\')
@example(b"\\" * 7 + b'"')
def test_any_bytes_either_parse_or_raise_a_refusal(body: bytes) -> None:
    try:
        document = parse(body)
    except Refusal:
        return
    assert json.loads(body) == document


@CALM
@given(documents)
def test_the_outline_is_exact_for_depth_and_members_and_no_less_for_parts(document: Object) -> None:
    def depth(value: JSON) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    def count(value: JSON) -> tuple[int, int]:
        """Members, and parts: values and keys."""
        if isinstance(value, dict):
            inside = [count(item) for item in value.values()]
            return len(value) + sum(m for m, _ in inside), 1 + len(value) + sum(p for _, p in inside)
        if isinstance(value, list):
            inside = [count(item) for item in value]
            return sum(m for m, _ in inside), 1 + sum(p for _, p in inside)
        return 0, 1

    shape = measure(json.dumps(document).encode(), 10**6)
    members, parts = count(document)
    assert (shape.depth, shape.members) == (depth(document), members)
    assert parts <= shape.nodes <= 2 * parts


def test_65_levels_are_refused() -> None:
    with refused(Reason.DOCUMENT_TOO_COMPLEX):
        parse(b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")


def test_the_limits_are_the_operators() -> None:
    limits = Limits(depth=2, nodes=5)
    assert parse(b'{"a":[1,2]}', limits)
    with refused(Reason.DOCUMENT_TOO_COMPLEX):
        parse(b'{"a":[1,2,3]}', limits)
    with refused(Reason.DOCUMENT_TOO_COMPLEX):
        parse(b'{"a":[[]]}', limits)


MIB = 1 << 20
BOMBS: dict[str, bytes] = {
    "wide objects (F11)": b'{"a":[' + b",".join([b"{}"] * (MIB // 3)) + b"]}",
    "wide numbers": b'{"a":[' + b",".join([b"0"] * (MIB // 2)) + b"]}",
    "wide strings": b'{"a":[' + b",".join([b'""'] * (MIB // 3)) + b"]}",
    "deep lists": b'{"a":' + b"[" * MIB,
    "deep objects": b'{"a":' * (MIB // 5),
    "deep, closed": b'{"a":' + b"[" * (MIB // 2) + b"]" * (MIB // 2) + b"}",
    "brackets that do not fit": b"[}" * (MIB // 2),
    "closed only": b"]" * MIB,
    "members": b"{" + b",".join(b'"%x":0' % i for i in range(MIB // 8)) + b"}",
    "open string of quotes": b'{"a":"' + b'\\"' * (MIB // 2),
    "open string of backslashes": b'{"a":"' + b"\\" * (MIB + 1),
    "quotes": b'"' * MIB,
    "backslash, quote": b'\\"' * (MIB // 2),
    "colons": b":" * MIB,
    "white space": b" " * MIB,
    "zeros": b'{"a":' + b"0" * MIB + b"}",
    "digits": b'{"a":' + b"1" * MIB + b"}",
    "fraction": b'{"a":0.' + b"0" * MIB + b"1}",
    "exponent": b'{"a":1e' + b"0" * MIB + b"}",
    "runs of 18 digits": b'{"a":[' + b"111111111111111111," * (MIB // 19),
    "NUL": bytes(MIB),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_in_linear_time(body: bytes) -> None:
    start = time.process_time()
    with pytest.raises(Refusal):
        parse(body)
    # 1 MiB takes 10 ms at most; anything quadratic takes minutes.
    assert time.process_time() - start < 1


def test_strings_are_counted_before_each_becomes_an_object() -> None:
    body = BOMBS["quotes"]
    tracemalloc.start()
    with refused(Reason.DOCUMENT_TOO_COMPLEX):
        parse(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(body)


# The Envoy rule (facts 1.1): 10 KiB that cost 1 MiB are a vulnerability.
FILLINGS: dict[str, bytes] = {
    "empty objects": b"{},",
    "one member": b'{"a":0},',
    "empty lists": b"[],",
    "lists": b"[0],",
    "nested": b"[[[[0]]]],",
    "numbers": b"0,",
    "floats": b".5,",
    "large numbers": b"9999999999,",
    "strings": b'"ab",',
    "wide strings": '"😀a",'.encode(),
}


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS.keys())
def test_ten_kilobytes_never_cost_a_megabyte(filling: bytes) -> None:
    body = b'{"a":[' + filling * (10_000 // len(filling)) + b"0]}"
    tracemalloc.start()
    try:
        document = None
        try:
            document = parse(body)
        except Refusal:
            assert filling == b".5,"  # no JSON; the others are read
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(body)
    assert peak < MIB
    del document


def test_distinct_keys_stay_within_the_bound_too() -> None:
    body = b"{" + b",".join(b'"%x":0' % i for i in range(1200)) + b"}"
    tracemalloc.start()
    parse(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * len(body)


def test_a_refusal_holds_nothing_of_the_body() -> None:
    with pytest.raises(Refusal) as caught:
        parse(b'{"a":"sk-secret')
    assert "sk-secret" not in repr(vars(caught.value)) + caught.value.text
    assert caught.value.__suppress_context__
