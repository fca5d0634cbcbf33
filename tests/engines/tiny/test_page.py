"""The page is fit to be learned: no question twice, short answers, nothing unseen that is also seen."""

from __future__ import annotations

from collections import Counter

from engines.tiny import page

PAGE = page.read()
ENTRIES = (*PAGE.entries, PAGE.fallback)


def test_there_is_enough_to_know() -> None:
    assert 40 <= len(PAGE.entries) <= 80
    assert all(len(e.also) >= 3 for e in PAGE.entries)
    assert sum(len(e.unseen) for e in ENTRIES) >= 40


def test_no_question_is_asked_twice() -> None:
    asked = Counter(q.lower().rstrip("?") for e in ENTRIES for q in (e.question, *e.also, *e.unseen))
    assert [q for q, count in asked.items() if count > 1] == []


def test_answers_are_short_plain_sentences() -> None:
    for entry in ENTRIES:
        assert 0 < len(entry.answer) <= 160
        assert entry.answer.isascii()
        assert entry.answer.endswith(".")
    assert len({e.answer for e in ENTRIES}) == len(ENTRIES)
