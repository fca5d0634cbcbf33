"""Puts the logs together: settings and a terminal in, writers of lines out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from edge.config.telemetry import LogFormat, Telemetry
from observability.lines import LineSink, LineWriter, NoLines, json_line
from observability.process_log import log_to
from policies.json import Object


def open_journal(telemetry: Telemetry, environ: Mapping[str, str], file: Path | None = None) -> LineWriter:
    """The writer for stderr, or for `file` in its place, which turns over as the access log does. The process's own log
    goes there from now on; whoever opened it closes it last. OSError if the file cannot be opened."""
    terminal = file is None and sys.stderr.isatty()
    render: Callable[[Object], str] = json_line
    if telemetry.log_format is LogFormat.HUMAN or (telemetry.log_format is LogFormat.AUTO and terminal):
        from observability.human import human_lines  # people's machines only

        # https://no-color.org: any value but the empty one
        colour = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        render = human_lines(colour=colour)
    journal = LineWriter(
        file, render=render, most_bytes=telemetry.access_log_bytes if file else 0, keep=telemetry.access_log_keep
    )
    log_to(journal, logging.getLevelNamesMapping()[telemetry.log_level.upper()])
    return journal


def access_lines(telemetry: Telemetry, home: Path, journal: LineSink | None) -> tuple[LineSink, bool]:
    """Where access lines go, and whether it is to be closed by who asks. OSError if the file cannot be opened."""
    match telemetry.access_log:
        case "off":
            return NoLines(), True
        case "stderr":
            return (LineWriter(None), True) if journal is None else (journal, False)
        case target:
            return LineWriter(
                home / target, most_bytes=telemetry.access_log_bytes, keep=telemetry.access_log_keep
            ), True
