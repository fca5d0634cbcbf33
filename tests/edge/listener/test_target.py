"""One spelling per path: what passes, and the tricks of F1 that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from edge.listener.target import Target, parse_target
from policies.errors import Refusal
from policies.reasons import Reason


@pytest.mark.parametrize(
    "raw",
    ["/", "/v1/models", "/v1/models/", "/v1/models/gpt-4o", "/v1/models/ai/llama3.2:3B-Q4_K_M", "/engines/a.b/v1/x",
     "/...",
     "/v1/models/ai%2Fllama3.2%3A3B", "/v1/models/a%40b%2Bc", "/models/ai%2Fx", "/v1/a..b", "/.well-known"],
)  # fmt: skip
def test_canonical_paths_pass_untouched(raw: str) -> None:
    assert parse_target(raw) == Target(raw, "", "")


@pytest.mark.parametrize("query", ["", "beta=true", "a=1&b=/?:@", "q=%20%zz"[:5], "a[]"[:1]])
def test_the_query_is_kept_raw(query: str) -> None:
    assert parse_target(f"/v1/messages?{query}").query == query


def test_the_absolute_form_gives_its_authority() -> None:
    assert parse_target("http://localhost:80/v1/models?a=b") == Target("/v1/models", "a=b", "localhost:80")


@pytest.mark.parametrize(
    "raw",
    ["", "*", "v1", "/..", "/.", "/a/..", "/../a", "/a/./b", "//", "//a", "/a//b", "/a\\b", "/a b", "/a#b", "/a?b#c",
     "/é",
     "/a%2Fb", "/%6dodels/", "/v1/models%2Fa", "/v1/models/%2E%2E", "/v1/models/..%2Fa", "/v1/models/a%2F%2Fb",
     "/v1/models/a%2F..", "/v1/models/%2Fa", "/v1/models/a%2f", "/v1/models/a%25", "/v1/models/a%00", "/v1/models/%",
     "/a%40/models/b", "/a?\x7f", "/a?b c", '/a?"', "/a?%", "http://a", "http:///a", "https:/a/b", "ws://a/b", "/a\n",
     "/v1/models?\n", "/a\x00"],
)  # fmt: skip
def test_everything_else_is_refused(raw: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_target(raw)
    assert refusal.value.reason is Reason.MALFORMED_REQUEST


@given(st.one_of(st.text(max_size=60), st.text("/.%2Ff:ab\\?#", max_size=30).map(lambda t: "/" + t)))
def test_a_path_that_passes_is_what_a_normalising_reader_sees_too(raw: str) -> None:
    try:
        target = parse_target(raw)
    except Refusal:
        return
    if not target.authority and "%" not in target.path:
        # F1: yarl normalises, and is what sent `/v1/../api/pull` on as `/api/pull`.
        assert URL("http://h").join(URL(target.path)).raw_path == target.path or target.path == "/"
