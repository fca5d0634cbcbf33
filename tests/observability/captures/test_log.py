"""A capture holds what the obligation says, without secrets, and costs the request nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest

from observability.captures.log import CaptureLog
from observability.captures.reader import find
from observability.captures.settings import CaptureSettings
from observability.decisions.log import DecisionLogError
from policies.exchange import Client, Exchange
from policies.json import JSON, Object, as_list, as_object
from policies.obligations import Capture
from tests.observability.captures.asked import ANSWER, NOW, PROMPT, exchange, opened


def captured(folder: Path, of: Exchange, settings: CaptureSettings | None = None) -> Object:
    with opened(folder, settings) as log:
        log.ended(of, NOW)
    found = find(folder, of.id)
    assert found is not None
    return found


def test_full_has_the_text_of_both_sides_without_secrets(tmp_path: Path) -> None:
    found = captured(tmp_path, exchange())
    text = as_object(as_object(found["request"])["text"])
    assert as_list(text["messages"])[0] == {"role": "system", "content": "short"}
    assert as_object(as_list(text["messages"])[1])["content"] == "my prompt, and a key: [redacted]"
    assert as_object(text)["temperature"] == 0.5
    said = as_object(as_list(as_object(as_object(found["answer"])["text"])["choices"])[0])
    assert said["message"] == {"role": "assistant", "content": ANSWER}
    assert (found["capture"], found["part"], as_object(found["record"])["caller"]) == ("full", "whole", "ann")


def test_metadata_has_sizes_and_names_and_no_text(tmp_path: Path) -> None:
    found = captured(
        tmp_path,
        exchange(
            capture="metadata",
            stop=["SECRET"],
            reasoning_effort="high",
            metadata={"type": "canary", "b": "x"},
            response_format={"type": "json_object"},
        ),
    )
    request = as_object(found["request"])
    assert request["messages"] == [{"role": "system", "chars": 5}, {"role": "user", "chars": len(PROMPT)}]
    assert as_object(request["parameters"]) == {
        "stream": False, "max_tokens": 9, "n": 1, "temperature": 0.5, "user": {"chars": 2}, "stop": {"items": 1},
        "reasoning_effort": "high", "metadata": {"items": 2}, "response_format": {"items": 1, "type": "json_object"},
    }  # fmt: skip
    assert request["tools"] == ["search"]
    assert found["answer"] == {"choices": [{"chars": 9}], "tool_names": ["search"]}
    data = orjson.dumps(found)
    assert not any(word in data for word in (b"prompt, and", b"SECRET", b"short", b"find it", ANSWER.encode()))


@pytest.mark.parametrize(
    ("field", "gone"),
    [
        ("messages", b"my prompt"),
        ("answer", ANSWER.encode()),
        ("tools", b"search"),
        ("request.tool_names", b"search"),
        ("caller.id", b'"ann"'),
        ("source.ip", b"10.0.0.1"),
    ],
)
def test_what_is_to_be_redacted_is_not_captured_either(tmp_path: Path, field: str, gone: bytes) -> None:
    assert gone in orjson.dumps(captured(tmp_path / "all", exchange()))
    assert gone not in orjson.dumps(captured(tmp_path / "some", exchange(redact=frozenset({field}))))


def judged(capture: Capture = "full", *hidden: str) -> Exchange:
    texts: list[JSON] = ["SECRET d"]
    return exchange(
        1,
        capture,
        redact=frozenset(hidden),
        query="SECRET q",
        documents=texts,
        text_1="SECRET 1",
        text_2=texts,
    )


def test_texts_to_be_judged_are_messages_too(tmp_path: Path) -> None:
    assert orjson.dumps(captured(tmp_path / "all", judged())).count(b"SECRET ") == 4
    assert b"SECRET " not in orjson.dumps(captured(tmp_path / "some", judged("full", "messages")))
    assert b"SECRET " not in orjson.dumps(captured(tmp_path / "none", judged("metadata")))


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path: Path) -> None:
    with opened(tmp_path / "captures") as log:
        log.ended(exchange(capture="none"), NOW)
        log.ended(Exchange("a" * 32, Client("10.0.0.1", 5, "lan")), NOW)
    assert not (tmp_path / "captures").exists()


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    captured(tmp_path / "captures", exchange())
    assert stat.S_IMODE((tmp_path / "captures").stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "captures").iterdir()] == [0o600]


@pytest.mark.parametrize("character", ["x", "\x00", '"', "\n", "é", "\N{GRINNING FACE}"])
def test_however_long_the_text_it_is_captured_and_cut(tmp_path: Path, character: str) -> None:
    settings = CaptureSettings(most_bytes=128 * 1024)
    found = captured(tmp_path, exchange(messages=[{"role": "user", "content": character * 2_000_000}]), settings)
    request = as_object(found["request"])
    assert request["cut"] is True
    assert len(orjson.dumps(request["text"])) < 300_000


def test_a_request_of_nothing_but_structure_is_captured_too(tmp_path: Path) -> None:
    found = captured(tmp_path, exchange(messages=[{"role": "user", "content": []} for _ in range(50_000)]))
    assert as_object(found["request"])["cut"] is True
    assert as_object(found["request"])["messages_left_out"] == 49_000


def test_a_disk_that_takes_nothing_is_counted_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "captures").write_text("a file where the folder should be")
    with opened(tmp_path / "captures") as log:
        log.ended(exchange(), NOW)
    assert log.dropped == 1


async def test_a_promise_is_kept_before_it_returns_or_it_fails(tmp_path: Path) -> None:
    with opened(tmp_path / "good") as log:
        await log.promise(exchange())
        found = find(tmp_path / "good", exchange().id)
        assert found is not None
        assert (found["part"], found["answer"]) == ("request", None)
        log.ended(exchange(), NOW)
    whole = find(tmp_path / "good", exchange().id)
    assert whole is not None
    assert whole["part"] == "whole"
    (tmp_path / "bad").write_text("")
    with opened(tmp_path / "bad") as log, pytest.raises(DecisionLogError):
        await log.promise(exchange())


def test_too_slow_a_search_withholds_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observability.captures.patterns._PATIENCE", -1.0)
    found = captured(tmp_path, exchange())
    assert as_object(found["request"])["text"] is None
    assert b"my prompt" not in orjson.dumps(found)


def test_a_log_that_was_never_needed_has_no_thread(tmp_path: Path) -> None:
    log = CaptureLog(tmp_path / "captures", CaptureSettings())
    log.open()
    assert log._log is None
    log.close()
