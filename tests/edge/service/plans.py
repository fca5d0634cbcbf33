"""A plan, and a platform that answers from a script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.service.manager import Ran
from edge.service.plan import Plan

PLAN = Plan(
    program=("/opt/venv/bin/llm-gateway",),
    home=Path("/Users/ann/Library/Application Support/llm-gateway"),
    config=Path("/Users/ann/gateway.yaml"),
    log=Path("/Users/ann/Library/Application Support/llm-gateway/logs/gateway.log"),
    path="/opt/homebrew/bin:/usr/bin:/bin",
    stop_s=47,
)
FINE = Ran(0, "", "")


class Platform:
    """Notes the commands it is given; `answers` by the word that tells them apart, else all is fine."""

    def __init__(self, **answers: Ran) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def __call__(self, command: Sequence[str]) -> Ran:
        self.asked.append(" ".join(command))
        return next((answer for word, answer in self._answers.items() if word in command), FINE)
