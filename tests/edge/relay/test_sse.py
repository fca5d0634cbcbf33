"""Events come out the same however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.relay import sse
from edge.relay.sse import Event, SseDecoder
from policies.errors import EngineBroke

STREAMS = [
    (b'data: {"a":1}\n\ndata: [DONE]\n\n', [b'{"a":1}', b"[DONE]"]),
    (b'data:{"a":1}\r\n\r\ndata:[DONE]\r\n\r\n', [b'{"a":1}', b"[DONE]"]),
    (b"data: a\rdata: b\r\rdata: c\r\r\n", [b"a\nb", b"c"]),
    (b": keepalive 1/2\n\nevent: x\nid: 7\nretry: 1\ndata: a\n\n", [b"a"]),
    (b"data\n\ndatas: x\n\ndata:  two\n\n", [b" two"]),
    (b"data: unfinished", []),
    (b"\n\n\n", []),
]


def decode(*blocks: bytes) -> list[bytes]:
    decoder = SseDecoder()
    return [event.data for block in blocks for event in decoder.feed(block)]


@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_whole_one_by_one_and_with_a_tail(stream: bytes, events: list[bytes]) -> None:
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events
    assert decode(stream, b"\n", b"\n")[: len(events)] == events


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_any_bytes_cut_anywhere_decode_alike(parts: list[bytes], size: int) -> None:
    stream = b"data: x\n" + b"".join(parts) + b"\n\n"
    assert decode(*(stream[i : i + size] for i in range(0, len(stream), size))) == decode(stream)


@given(st.lists(st.text(max_size=10).map(lambda t: t.replace("\n", "").replace("\r", "")), min_size=1), st.data())
def test_payloads_survive(payloads: list[str], data: st.DataObject) -> None:
    ends = [data.draw(st.sampled_from(["\n", "\r\n", "\r"])) for _ in payloads]
    stream = "".join(f"data: {p}{e}{e}" for p, e in zip(payloads, ends, strict=True)).encode() + b"\n"
    assert decode(stream) == [p.encode() for p in payloads]


def test_an_error_field_is_marked() -> None:
    assert list(SseDecoder().feed(b'error: {"code":500}\n\n')) == [Event(b'{"code":500}', failed=True)]


@pytest.mark.parametrize(
    "line", [b"data: " + b"x" * 65, b"x" * 65, b"data: " + b"x" * 30 + b"\ndata: " + b"y" * 40 + b"\n"]
)
def test_an_event_cannot_grow_without_bound(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 64)
    with pytest.raises(EngineBroke):
        decode(line)
    with pytest.raises(EngineBroke):
        decode(*(line[i : i + 1] for i in range(len(line))))


def test_empty_lines_of_data_grow_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 64)
    with pytest.raises(EngineBroke):
        decode(*[b"data:\n"] * 65)
