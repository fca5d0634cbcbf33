"""What `tail` says beside requests."""

from __future__ import annotations

import pytest

from edge.cli.live.tail import Teller


def test_what_is_left_out_is_said_in_words_that_a_terminal_does_not_obey(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller("here", as_json=False)
    teller.tell({"event": "dropped", "lines": 7})
    teller.tell({"event": "dropped", "lines": "\x1b]0;owned\x07"})
    first, second = capsys.readouterr().err.splitlines()
    assert "7 requests are left out" in first
    assert second.isprintable()
