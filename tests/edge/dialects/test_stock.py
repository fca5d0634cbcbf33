"""What callers are told while a model is fetched; of the engine's words only digests and numbers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dialects.errors import render, stream_error
from edge.dialects.registry import stock_rendering
from edge.dialects.stock import StockRendering
from engines.contract import Pulled
from engines.pulling import Tally
from policies.call import Call, Dialect, Operation
from policies.errors import EngineBroke, Refusal
from policies.reasons import Reason

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64


def rendering(dialect: Dialect) -> StockRendering:
    return stock_rendering(Call(Operation.MODELS_PULL, dialect, "tiny"))


def told(dialect: Dialect, *story: Pulled) -> list[object]:
    said, tally, lines = rendering(dialect), Tally(), b""
    for pulled in story:
        tally.take(pulled)
        lines += said.progress(pulled, tally)
    lines += said.pulled()
    assert lines.endswith(b"\n")
    return [json.loads(line) for line in lines.splitlines()]


STORY = (Pulled(), Pulled(A, 0, 3_000_000), Pulled(B, 5, 1_000_000), Pulled(A, 3_000_000, 3_000_000), Pulled(done=True))


def test_ollamas_lines() -> None:
    assert told(Dialect.OLLAMA, *STORY) == [
        {"status": "pulling manifest"},
        {"status": "pulling " + "a" * 12, "digest": A, "total": 3_000_000, "completed": 0},
        {"status": "pulling " + "b" * 12, "digest": B, "total": 1_000_000, "completed": 5},
        {"status": "pulling " + "a" * 12, "digest": A, "total": 3_000_000, "completed": 3_000_000},
        {"status": "success"},
    ]


def test_model_runners_lines() -> None:
    lines = told(Dialect.MODEL_RUNNER, *STORY)
    assert lines[1] == {
        "type": "progress",
        "message": "Downloaded: 0.00 MB",
        "total": 4_000_000,
        "layer": {"id": B, "size": 1_000_000, "current": 5},
        "mode": "pull",
    }
    assert lines[2]["message"] == "Downloaded: 3.00 MB"  # type: ignore[index]  # an object
    assert lines[3] == {"type": "success", "message": "Model pulled successfully", "total": 0, "mode": "pull"}
    assert told(Dialect.MODEL_RUNNER, Pulled(A, 1, 2, total=9))[0]["total"] == 9  # type: ignore[index]


@pytest.mark.parametrize("dialect", [Dialect.OLLAMA, Dialect.MODEL_RUNNER])
@given(st.text(max_size=80))
def test_no_text_of_the_engines_goes_on(dialect: Dialect, layer: str) -> None:
    assert len(told(dialect, Pulled(f"{layer} /srv/models", 1, 2))) == 1
    assert len(told(dialect, Pulled(f"sha256:{layer}<b>", 1, 2))) == 1


def test_what_was_deleted() -> None:
    assert rendering(Dialect.OLLAMA).deleted("tiny") == b""
    assert json.loads(rendering(Dialect.MODEL_RUNNER).deleted("tiny")) == [{"Untagged": "tiny"}]


def test_a_failure_before_the_first_line_is_plain_text_to_model_runners_clients() -> None:
    status, headers, body = render(Refusal(Reason.MODEL_NOT_IN_REGISTRY), Dialect.MODEL_RUNNER, "f" * 32)
    assert (status, headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert body.endswith(b"(model_not_in_registry)\n")
    assert headers["x-request-id"] == "f" * 32


def test_a_failure_in_mid_stream_is_a_line() -> None:
    error = EngineBroke("secret detail")
    runner, ollama = (stream_error(error, dialect, "f" * 32) for dialect in (Dialect.MODEL_RUNNER, Dialect.OLLAMA))
    assert json.loads(runner) == {"type": "error", "message": "The engine failed while answering. (engine_broke)"}
    assert runner.endswith(b"\n")
    assert json.loads(ollama) == {"error": "The engine failed while answering. (engine_broke)"}
