"""The strict reading of a head, rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.routes import MOUNTS
from edge.listener import checks
from edge.listener.checks import SINGLE, Field, Head, check_head, read_fields
from edge.listener.hosts import HostPolicy
from edge.listener.limits import ListenerLimits
from edge.listener.target import parse_target
from policies.errors import Refusal
from policies.reasons import Reason

LIMITS = ListenerLimits()
LOCAL: Field = (b"Host", b"localhost:8080")


def check(*fields: Field, method: str = "POST", target: str = "/v1/x", version: tuple[int, int] = (1, 1)) -> Head:
    return check_head(method, parse_target(target), version, fields, hosts=HostPolicy(), limits=LIMITS)


def reason(*fields: Field, method: str = "POST", target: str = "/v1/x", version: tuple[int, int] = (1, 1)) -> Reason:
    with pytest.raises(Refusal) as refusal:
        check(*fields, method=method, target=target, version=version)
    assert refusal.value.hint is None
    assert refusal.value.param is None
    return refusal.value.reason


def test_a_plain_request() -> None:
    head = check(LOCAL, (b"Content-Length", b"5"), (b"X-Api-Key", b"k"), target="/v1/x?a=b")
    assert (head.method, head.path, head.query) == ("POST", "/v1/x", "a=b")
    assert head.headers == {"host": "localhost:8080", "content-length": "5", "x-api-key": "k"}
    assert (head.length, head.chunked, head.has_body, head.keep_alive, head.expects) == (5, False, True, True, False)


def test_a_chunked_request_in_any_case() -> None:
    head = check(LOCAL, (b"transfer-encoding", b"Chunked"))
    assert head.chunked
    assert head.has_body
    assert "transfer-encoding" not in head.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"])
def test_no_body_is_fine_for_every_method(method: str) -> None:
    assert not check(LOCAL, method=method).has_body
    assert not check(LOCAL, (b"Content-Length", b"0"), method=method).has_body


DELETIONS = [(mount, entry) for mount, entries in MOUNTS for entry in entries if entry.method == "DELETE"]


@pytest.mark.parametrize("path", [mount + entry.path for mount, entry in DELETIONS])
def test_what_is_deleted_is_named_in_the_path_or_else_in_a_body(path: str) -> None:
    target = path.replace("{id}", "m").replace("{response}", "resp_" + "0" * 32)
    length = (b"Content-Length", b"17")
    if target == path:
        assert check(LOCAL, length, method="DELETE", target=target).length == 17
    else:
        assert reason(LOCAL, length, method="DELETE", target=target) is Reason.MALFORMED_REQUEST


def test_no_other_path_has_a_body_to_delete() -> None:
    assert {mount + entry.path for mount, entry in DELETIONS if "{" not in entry.path} == checks._NAMED_IN_BODY


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_a_body_where_none_has_a_meaning_is_refused(method: str) -> None:
    assert reason(LOCAL, (b"Content-Length", b"1"), method=method) is Reason.MALFORMED_REQUEST
    assert reason(LOCAL, (b"Transfer-Encoding", b"chunked"), method=method) is Reason.MALFORMED_REQUEST


def test_a_delete_has_a_body_only_where_the_body_says_what_to_delete() -> None:
    length, chunked = (b"Content-Length", b"17"), (b"Transfer-Encoding", b"chunked")
    assert check(LOCAL, length, method="DELETE", target="/api/delete").length == 17
    assert reason(LOCAL, chunked, method="DELETE", target="/api/delete") is Reason.MALFORMED_REQUEST
    assert reason(LOCAL, length, method="GET", target="/api/delete") is Reason.MALFORMED_REQUEST
    assert reason(LOCAL, length, method="DELETE", target="/models/m") is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE", "get", "", "QUERY"])
def test_other_methods_are_refused(method: str) -> None:
    assert reason(LOCAL, method=method) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (3, 0)])
def test_other_versions_are_refused(version: tuple[int, int]) -> None:
    assert reason(LOCAL, version=version) is Reason.MALFORMED_REQUEST


def test_http_1_0_is_served_and_closed() -> None:
    head = check(LOCAL, (b"Connection", b"keep-alive"), version=(1, 0))
    assert head.http10
    assert not head.keep_alive


def test_chunks_in_http_1_0_are_refused() -> None:
    assert reason(LOCAL, (b"Transfer-Encoding", b"chunked"), version=(1, 0)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "value", [b"00", b"0200", b"+1", b"-1", b"1,1", b"1 0", b"0x1", b"", b"9" * 17, b"1_0", b"\xb2"]
)
def test_a_length_has_one_spelling(value: bytes) -> None:
    assert reason(LOCAL, (b"Content-Length", value)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "value", [b"", b"gzip", b"gzip, chunked", b"chunked, chunked", b"chunked;a", b"chunked\t", b"\tchunked"]
)
def test_the_only_coding_is_chunked(value: bytes) -> None:
    assert reason(LOCAL, (b"Transfer-Encoding", value)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_fields_that_decide_come_once(name: str) -> None:
    twice: list[Field] = [(name.encode(), b"localhost"), (name.upper().encode(), b"localhost")]
    with pytest.raises(Refusal):
        read_fields(twice, LIMITS)


def test_other_fields_are_joined_in_order() -> None:
    assert read_fields([(b"Accept", b"a"), (b"X", b""), (b"accept", b"b")], LIMITS) == {"accept": "a, b", "x": ""}


@pytest.mark.parametrize(
    "name", [b"Content_Length", b"transfer_encoding", b"X_API_KEY", b"X_Forwarded_For", b"x-api_key"]
)
def test_underscore_twins_of_fields_that_matter_are_refused(name: bytes) -> None:
    assert reason(LOCAL, (name, b"5")) is Reason.MALFORMED_REQUEST


def test_other_underscore_fields_are_dropped() -> None:
    assert read_fields([(b"my_field", b"a"), (b"a", b"b")], LIMITS) == {"a": "b"}


def test_a_dropped_field_is_checked_too() -> None:
    with pytest.raises(Refusal):
        read_fields([(b"my_field", b"a\nb")], LIMITS)


@pytest.mark.parametrize("value", [b"a\x00", b"a\r\nb", b"a\nb", b"a\x0bb", b"\x7f", b"\x80", b"\xc3\xa9", b"\xc2\xa0"])
def test_values_are_visible_ascii(value: bytes) -> None:
    with pytest.raises(Refusal):
        read_fields([(b"a", value)], LIMITS)


def test_values_may_hold_tabs_and_any_visible_character() -> None:
    visible = bytes(range(0x20, 0x7F)) + b"\t"
    assert read_fields([(b"a", visible)], LIMITS)["a"] == visible.decode()


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\x00", b"\xe9", b"a(b)", b"a\n", b"a,b"])
def test_names_are_tokens(name: bytes) -> None:
    with pytest.raises(Refusal):
        read_fields([(name, b"a")], LIMITS)


def test_too_many_and_too_large_fields() -> None:
    assert reason(*[LOCAL] * 65) is Reason.HEADERS_TOO_LARGE
    assert reason(LOCAL, (b"x", b"a" * 8192)) is Reason.HEADERS_TOO_LARGE


@pytest.mark.parametrize("value", [b"evil.example", b"8.8.8.8"])
def test_an_unknown_host_is_told_so(value: bytes) -> None:
    assert reason((b"Host", value)) is Reason.UNKNOWN_HOST


def test_no_host_and_a_broken_host_are_malformed() -> None:
    assert reason() is Reason.MALFORMED_REQUEST
    assert reason((b"Host", b"a/b")) is Reason.MALFORMED_REQUEST


def test_the_absolute_form_must_name_the_same_host() -> None:
    assert check(LOCAL, target="http://LOCALHOST:8080/v1/x").path == "/v1/x"
    assert reason(LOCAL, target="http://localhost/v1/x") is Reason.MALFORMED_REQUEST


def test_an_expectation_counts_only_with_a_body_and_in_1_1() -> None:
    expect, body = (b"Expect", b"100-Continue"), (b"Content-Length", b"5")
    assert check(LOCAL, expect, body).expects
    assert not check(LOCAL, expect).expects
    assert not check(LOCAL, expect, body, version=(1, 0)).expects
    assert reason(LOCAL, (b"Expect", b"other")) is Reason.UNSUPPORTED_EXPECTATION


def test_nominated_fields_go_and_nominating_one_that_matters_is_refused() -> None:
    head = check(LOCAL, (b"Connection", b"close, X-Mine"), (b"X-Mine", b"a"), (b"TE", b"trailers"), (b"X-Other", b"b"))
    assert head.headers == {"host": "localhost:8080", "x-other": "b"}
    assert not head.keep_alive
    for name in SINGLE - {"upgrade"}:
        assert reason(LOCAL, (b"Connection", name.encode())) is Reason.MALFORMED_REQUEST


def test_an_upgrade_is_ignored() -> None:
    upgrade: list[Field] = [
        (b"Connection", b"Upgrade, HTTP2-Settings"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAM"),
    ]
    head = check(LOCAL, *upgrade)
    assert head.keep_alive
    assert head.headers == {"host": "localhost:8080"}


def test_trailers_are_not_agreed_to() -> None:
    assert reason(LOCAL, (b"Trailer", b"x"), (b"Transfer-Encoding", b"chunked")) is Reason.MALFORMED_REQUEST


_NAMES = st.sampled_from(
    [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"X_Y", b"Accept"]
)
_VALUES = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"localhost", b"5", b"chunked", b"close", b"100-continue"])
)


@given(st.lists(st.tuples(st.one_of(_NAMES, st.binary(max_size=8)), _VALUES), max_size=8))
def test_any_fields_give_a_clean_head_or_a_refusal(fields: list[Field]) -> None:
    try:
        head = check(*fields)
    except Refusal:
        return
    assert head.headers["host"] == "localhost"
    for name, value in head.headers.items():
        assert name == name.lower()
        assert "_" not in name
        assert value.isascii()
        assert not set(value) & {"\r", "\n", "\0"}
    assert not (head.chunked and head.length)
