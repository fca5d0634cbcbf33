"""Why an answer ended, whatever an engine's word for it. (Through the reader of a stream: test_chunks.py.)"""

from __future__ import annotations

import pytest

from edge.relay.finishes import FINISHES, finished


@pytest.mark.parametrize("reason", sorted(FINISHES))
def test_openais_words_mean_themselves_in_any_letters(reason: str) -> None:
    for word in (reason, reason.upper(), reason.title()):
        assert finished(word, called=False) == reason
