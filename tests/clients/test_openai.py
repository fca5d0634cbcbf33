"""The official OpenAI clients, Python and JavaScript, through the gateway to real engines: the same holds for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from policies.json import Object, as_list, as_object, as_str
from tests.clients import node_driver, python_driver
from tests.clients.report import Driver
from tests.clients.runs import Entry, Run, run_of
from tests.system.wire import loads

pytestmark = [pytest.mark.clients, pytest.mark.engine]

DRIVERS: dict[str, Driver] = {
    "python": python_driver.drive,
    "python-async": python_driver.drive_async,
    "node": node_driver.drive,
}


@pytest.fixture(scope="module", params=DRIVERS)
def run(entry: Entry, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with run_of(entry, DRIVERS[request.param], tmp_path_factory) as found:
        yield found


def test_models(run: Run) -> None:
    assert run.report["models"] == [run.model]
    assert run.report["model"] == run.model


def test_whole_answer(run: Run) -> None:
    whole = run.part("whole")
    assert "llm-gateway" in as_str(whole["text"])
    assert (whole["finish"], whole["model"]) == ("stop", run.model)
    assert len(as_str(whole["request_id"])) == 32
    _assert_counted(as_object(whole["usage"]))


def _assert_counted(usage: Object) -> None:
    prompt, completion = usage["prompt"], usage["completion"]
    assert isinstance(prompt, int)
    assert isinstance(completion, int)
    assert prompt > 0
    assert completion > 0
    assert usage["total"] == prompt + completion


def test_streamed_answer_is_the_same_text(run: Run) -> None:
    streamed = run.part("streamed")
    assert streamed["text"] == run.part("whole")["text"]
    assert (streamed["finish"], streamed["models"], streamed["usage"]) == ("stop", [run.model], None)
    count = streamed["chunks"]
    assert isinstance(count, int)
    assert count > 3, "it came in one piece"


def test_streamed_usage(run: Run) -> None:
    streamed = run.part("streamed_usage")
    assert streamed["text"] == run.part("whole")["text"]
    _assert_counted(as_object(streamed["usage"]))


def test_responses(run: Run) -> None:
    found = run.part("responses")
    assert found["text"] == found["streamed"] == found["kept"] == run.part("whole")["text"]
    assert (found["status"], found["items"]) == ("completed", ["message"])
    read = found["read"]
    assert isinstance(read, int)
    assert read > 0, "what was said before was not read again"


def test_text_completion(run: Run) -> None:
    text = run.part("text")
    assert text["finish"] in {"stop", "length"}
    length = text["length"]
    assert isinstance(length, int)


def test_tool_call(run: Run) -> None:
    """That the call arrives whole is the gateway's part; whether it is the right one is the model's exam."""
    tools = run.part("tools")
    if not run.engine.calls_tools:
        assert tools["finish"] in {"stop", "length", "tool_calls"}
        return
    assert tools["finish"] == "tool_calls"
    call = as_object(as_list(tools["calls"])[0])
    assert as_str(call["name"])
    assert loads(as_str(call["arguments"]))


@pytest.mark.parametrize("part", ["forced", "forced_streamed"])
def test_a_tool_that_must_be_called_is_called(run: Run, part: str) -> None:
    forced = run.part(part)
    call = as_object(as_list(forced["calls"])[0])
    assert call["name"] == "get_weather"
    assert isinstance(loads(as_str(call["arguments"]))["city"], str)


def test_conversation_goes_on_after_a_tool_call(run: Run) -> None:
    after = run.part("after_tool")
    assert after["finish"] in {"stop", "length"}
    assert as_str(after["text"])


def test_client_that_leaves_a_stream_can_go_on(run: Run) -> None:
    assert run.report["abandoned"] == "stop"


def test_embeddings(run: Run) -> None:
    if not run.engine.embeddings:
        assert run.report["embeddings"] is None
        return
    found = run.part("embeddings")
    length = found["length"]
    assert (found["count"], found["number"]) == (2, True)
    assert isinstance(length, int)
    assert length >= 8


ERRORS: dict[str, tuple[str, int, str]] = {
    "bad_request": ("BadRequestError", 400, "invalid_parameter"),
    "not_found": ("NotFoundError", 404, "unknown_route"),
    "hidden_model": ("PermissionDeniedError", 403, "model_not_permitted"),
    "bad_key": ("AuthenticationError", 401, "invalid_credential"),
    "locked": ("RateLimitError", 429, "too_many_failures"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_the_class_clients_expect(run: Run, name: str) -> None:
    error = as_object(run.part("errors")[name])
    assert (error["class"], error["status"], error["code"]) == ERRORS[name]
    assert len(as_str(error["request_id"])) == 32
    if name == "locked":
        assert int(as_str(error["retry_after"])) >= 1
        assert error["should_retry"] is None
    else:
        assert error["should_retry"] == "false"
