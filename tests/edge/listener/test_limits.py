"""The limits are those of the promise sheet, and none can be switched off."""

from __future__ import annotations

from dataclasses import fields

import pytest

from edge.listener.limits import KIB, MIB, ListenerLimits


def test_the_defaults_are_the_promise_sheet() -> None:
    limits = ListenerLimits()
    assert (limits.request_line_bytes, limits.header_bytes, limits.header_count) == (4 * KIB, 8 * KIB, 64)
    assert (limits.headers_bytes, limits.header_s, limits.tls_handshake_s) == (32 * KIB, 10, 5)
    assert (limits.body_bytes, limits.body_s, limits.body_rate, limits.body_grace_s) == (16 * MIB, 30, KIB, 5)
    assert (limits.keepalive_s, limits.requests_per_connection) == (30, 1000)
    assert (limits.connections, limits.connections_per_source, limits.strangers) == (1024, 64, 256)
    assert (limits.write_stall_s, limits.discard_bytes, limits.stream_buffer_bytes) == (30, 256 * KIB, 512 * KIB)
    assert (limits.write_rate, limits.drain_s) == (8 * KIB, 30)


@pytest.mark.parametrize("name", [field.name for field in fields(ListenerLimits)])
@pytest.mark.parametrize("value", [0, -1])
def test_no_limit_can_be_switched_off(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        ListenerLimits(**{name: value})


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"header_s, connections, unauthenticated_share \(at most 1\)"):
        ListenerLimits(header_s=0, connections=0, unauthenticated_share=2)


def test_at_least_one_stranger_gets_in() -> None:
    assert ListenerLimits(connections=2, unauthenticated_share=0.25).strangers == 1
