"""What goes to stderr: from which level on, and for whom it is written."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping

import orjson
import pytest

from edge.config.telemetry import LogFormat, LogLevel, Telemetry
from edge.logs import open_journal

OURS = "edge.gateway"
THEIRS = "aiohttp.server"
_SET = ("", "edge", "engines", "observability", "policies", "asyncio", "alembic.runtime.plugins")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Without pytest's own handlers meanwhile: they would be closed."""
    loggers = [logging.getLogger(name) for name in _SET]
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers = []
    yield
    for logger, handlers, level in before:
        logger.handlers = handlers
        logger.setLevel(level)


def said(settings: Telemetry, capfd: pytest.CaptureFixture[str], environ: Mapping[str, str] | None = None) -> str:
    """What stands on stderr when everybody has said something at every level."""
    journal = open_journal(settings, environ or {})
    for name in (OURS, THEIRS):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "text of %s", logging.getLevelName(level).lower())
    journal.close()
    return capfd.readouterr().err


@pytest.mark.parametrize(
    ("level", "ours", "theirs"),
    [
        (LogLevel.DEBUG, ["debug", "info", "warning", "error"], ["info", "warning", "error"]),
        (LogLevel.INFO, ["info", "warning", "error"], ["info", "warning", "error"]),
        (LogLevel.WARNING, ["warning", "error"], ["warning", "error"]),
        (LogLevel.ERROR, ["error"], ["error"]),
    ],
)
def test_tells_what_is_as_bad_as_the_level_and_of_libraries_nothing_for_debuggers(
    level: LogLevel, ours: list[str], theirs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [orjson.loads(line) for line in said(Telemetry(log_level=level), capfd).splitlines()]
    assert [line["level"] for line in lines if line["logger"] == OURS] == ours
    assert [line["level"] for line in lines if line["logger"] == THEIRS] == theirs
    assert all(line["message"] == f"text of {line['level']}" for line in lines)


@pytest.mark.parametrize(
    ("form", "terminal", "json"),
    [
        (LogFormat.AUTO, False, True),
        (LogFormat.AUTO, True, False),
        (LogFormat.JSON, True, True),
        (LogFormat.HUMAN, False, False),
    ],
)
def test_is_for_people_where_people_read_it(
    form: LogFormat, terminal: bool, json: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    text = said(Telemetry(log_format=form), capfd)
    assert "text of error" in text
    assert text.startswith("{") is json


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    environ: Mapping[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert ("\x1b[" in said(Telemetry(), capfd, environ)) is coloured
