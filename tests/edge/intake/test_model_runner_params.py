"""What Docker Model Runner's own routes take, and what is refused on purpose."""

from __future__ import annotations

import pytest

from edge.intake.intake import read_call
from edge.intake.model_runner_params import check_query
from edge.intake.routes import Routes
from policies.call import Call, Dialect, Operation
from policies.json import Object
from policies.reasons import Reason
from tests.edge.intake.refusals import refused


def read(document: Object, *, strict: bool = False) -> Call:
    route = Routes().match("POST", "/models/create")
    assert route is not None
    return read_call(route, document, strict=strict)


def test_a_model_is_fetched_without_the_callers_credential_for_the_registry() -> None:
    call = read({"from": "ai/Tiny:Q4", "bearer-token": "hf_secret"}, strict=True)
    assert (call.operation, call.dialect, call.model) == (Operation.MODELS_PULL, Dialect.MODEL_RUNNER, "ai/Tiny:Q4")
    assert (call.stream, call.body, call.ignored) == (True, {}, ("bearer-token",))


@pytest.mark.parametrize("name", ["http://10.0.0.5/x", "https://hf.co/a/b", "../x", "a b", "", "x" * 257, "-x", "a//b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with refused(Reason.INVALID_PARAMETER, "from"):
        read({"from": name})


def test_a_name_is_needed() -> None:
    with refused(Reason.MISSING_PARAMETER, "from"):
        read({})


def test_a_model_to_delete_is_named_in_the_path() -> None:
    route = Routes().match("DELETE", "/models/ai/tiny")
    assert route is not None
    call = read_call(route, {})
    assert (call.operation, call.model) == (Operation.MODELS_DELETE, "ai/tiny")


@pytest.mark.parametrize("query", ["", "force=false", "force=0&remote=False", "force=", "x=1"])
def test_what_says_nothing_is_let_be(query: str) -> None:
    check_query(query)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("force=true", "force"),
        ("force=false&force=1", "force"),
        ("remote=yes", "remote"),
        ("x=1&remote=TRUE", "remote"),
    ],
)
def test_what_is_not_done_here_is_refused(query: str, param: str) -> None:
    with refused(Reason.INVALID_PARAMETER, param):
        check_query(query)


def test_a_query_has_few_parts() -> None:
    with refused(Reason.INVALID_PARAMETER):
        check_query("&".join(["a=1"] * 9))
