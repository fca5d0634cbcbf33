"""The official Ollama clients, through the gateway to real engines that are no Ollama."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from policies.json import as_list, as_object, as_str
from tests.clients import node_driver, ollama_driver
from tests.clients.report import Driver
from tests.clients.runs import Entry, Run, run_of

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.xdist_group("clients")]

DRIVERS: dict[str, Driver] = {
    "python": ollama_driver.drive,
    "node": partial(node_driver.drive, script="ollama.mjs", package="ollama"),
}
TOGETHER = [("whole", "streamed"), ("generated", "generated_streamed")]


@pytest.fixture(scope="module", params=DRIVERS)
def run(entry: Entry, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with run_of(entry, DRIVERS[request.param], tmp_path_factory) as found:
        yield found


def test_models(run: Run) -> None:
    assert run.report["models"] == [run.model]
    assert run.part("shown")["capabilities"] == ["completion", "tools"]


def test_a_load_makes_the_model_one_that_runs(run: Run) -> None:
    assert run.part("loaded") == {"reason": "load", "running": [run.model]}


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_whole_and_streamed_say_the_same(run: Run, one: str, other: str) -> None:
    whole, streamed = run.part(one), run.part(other)
    assert "llm-gateway" in as_str(whole["text"])
    assert (whole["done"], whole["stop"], whole["model"]) == (True, "stop", run.model)
    assert (streamed["text"], streamed["stop"]) == (whole["text"], whole["stop"])
    for counted in (whole, streamed):
        for number in (counted["input"], counted["output"], as_list(counted["took"])[0], as_list(counted["took"])[-1]):
            assert isinstance(number, int)
            assert number > 0


@pytest.mark.parametrize("part", ["called", "called_streamed"])
def test_a_tool_is_called_with_an_object(run: Run, part: str) -> None:
    found = run.part(part)
    assert found["stop"] == "stop"
    if run.engine.calls_tools:
        call = as_object(as_list(found["calls"])[0])
        assert call["name"] == "get_weather"
        assert isinstance(as_object(call["input"])["city"], str)


def test_the_conversation_goes_on_after_a_tool_call(run: Run) -> None:
    after = run.part("after_tool")
    assert after["stop"] in {"stop", "length"}
    assert as_str(after["text"])


def test_a_client_that_leaves_a_stream_can_go_on(run: Run) -> None:
    assert run.part("abandoned")["stop"] == "stop"


def test_embeddings(run: Run) -> None:
    if run.engine.embeddings:
        found = run.part("embedded")
        one, other = as_list(found["vectors"])
        assert one == other == found["vector"]
        assert one
    else:
        assert run.report["embedded"] is None


def test_there_is_nothing_that_a_client_cannot_read(run: Run) -> None:
    """The package for JavaScript only warns of it."""
    assert run.report.get("warnings", []) == []


ERRORS = {"bad_request": 400, "hidden_model": 403, "bad_key": 401}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_the_class_clients_expect(run: Run, name: str) -> None:
    error = as_object(run.part("errors")[name])
    assert (error["class"], error["status"]) == ("ResponseError", ERRORS[name])
    assert as_str(error["text"])
