"""Where a chunked body ends, in pieces of any size."""

from __future__ import annotations

import pytest

from edge.listener.chunks import ChunkWatch


def watch(body: bytes, step: int) -> ChunkWatch:
    chunks = ChunkWatch()
    for at in range(0, len(body), step):
        chunks.saw(body[at : at + step])
    return chunks


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("body", [b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"2\r\n\n0\r\n000\r\n\r\n"])
def test_a_clean_end(body: bytes, step: int) -> None:
    assert watch(body, step).clean_end()


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize(
    "tail",
    [b"0\r\nA: b\r\n\r\n", b"0\r\nA: 0\r\n\r\n", b"0\r\nA: 0000000000000000000\r\n\r\n", b"0\r\n\r\nG", b"0;a\r\n\r\n",
     b"0\r\n\r\n\r\n", b"0\r\n", b""],
)  # fmt: skip
def test_trailers_extensions_and_tails_are_no_clean_end(tail: bytes, step: int) -> None:
    assert not watch(b"5\r\nhello\r\n" + tail, step).clean_end()


def test_overhead_is_what_the_payload_does_not_justify() -> None:
    assert watch(b"1\r\na\r\n" * 100, 7).overhead(100) == 400
    assert watch(b"64\r\n" + b"a" * 100 + b"\r\n", 7).overhead(100) < 0
