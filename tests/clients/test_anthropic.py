"""The official Anthropic clients, both wire versions, through the gateway to real engines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from policies.json import as_list, as_object, as_str
from tests.clients import anthropic_driver, node_driver
from tests.clients.report import Driver
from tests.clients.runs import Entry, Run, run_of

pytestmark = [pytest.mark.clients, pytest.mark.engine]

DRIVERS: dict[str, Driver] = {
    "python": anthropic_driver.drive,
    "node": partial(node_driver.drive, script="anthropic.mjs", package="@anthropic-ai/sdk"),
    "node, the wire of 2023": partial(node_driver.drive, script="anthropic.mjs", package="anthropic-sdk-0"),
}
_EVENTS = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
}


@pytest.fixture(scope="module", params=DRIVERS)
def run(entry: Entry, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with run_of(entry, DRIVERS[request.param], tmp_path_factory) as found:
        yield found


def test_the_versions_are_those_that_are_meant(run: Run) -> None:
    assert as_str(run.report["version"]).split(".")[0] in {"0", "1", "2"}


def test_models(run: Run) -> None:
    assert run.report["models"] == [run.model]
    assert run.report["model"] == run.model


def test_whole_and_streamed_say_the_same(run: Run) -> None:
    whole, streamed = run.part("whole"), run.part("streamed")
    assert "llm-gateway" in as_str(whole["text"])
    assert (whole["stop"], whole["model"]) == ("end_turn", run.model)
    assert (streamed["text"], streamed["stop"]) == (whole["text"], whole["stop"])
    assert set(map(as_str, as_list(streamed["kinds"]))) >= _EVENTS
    for counted in (whole, streamed):
        assert isinstance(counted["input"], int)
        assert isinstance(counted["output"], int)
        assert counted["input"] > 0
        assert counted["output"] > 0


@pytest.mark.parametrize("part", ["called", "called_streamed"])
def test_a_tool_that_must_be_called_is_called(run: Run, part: str) -> None:
    found = run.part(part)
    call = as_object(as_list(found["calls"])[0])
    assert call["name"] == "get_weather"
    assert isinstance(as_object(call["input"])["city"], str)
    assert found["stop"] == "tool_use"


def test_the_conversation_goes_on_after_a_tool_call(run: Run) -> None:
    after = run.part("after_tool")
    assert after["stop"] in {"end_turn", "max_tokens"}
    assert as_str(after["text"])


def test_tokens_are_counted(run: Run) -> None:
    found = run.part("counted")["input_tokens"]
    assert isinstance(found, int)
    assert found > 0


def test_a_client_that_leaves_a_stream_can_go_on(run: Run) -> None:
    assert run.part("abandoned")["stop"] == "end_turn"


ERRORS = {
    "bad_request": ("BadRequestError", 400, "invalid_request_error"),
    "hidden_model": ("PermissionDeniedError", 403, "permission_error"),
    "bad_key": ("AuthenticationError", 401, "authentication_error"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_the_class_clients_expect(run: Run, name: str) -> None:
    error = as_object(run.part("errors")[name])
    assert (error["class"], error["status"], error["type"]) == ERRORS[name]
    assert len(as_str(error["request_id"])) == 32
