"""What is wrong with a configuration, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class Wrong(Exception):
    """Raised while one value is read or checked; the decoder adds the place.

    `message` and `instead` never hold the value of an environment variable or of a secret.
    """

    def __init__(self, message: str, instead: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.instead = instead


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` and `column` count from 1, 0 = no place in a file; `instead` may be empty."""

    source: str
    line: int
    column: int
    path: str
    message: str
    instead: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        path = f" {self.path}:" if self.path else ""
        advice = f"; write `{self.instead}` instead" if self.instead else ""
        line = f"{place}:{path} {self.message}{advice}"
        # one line, whatever a key is called: a quoted YAML key may hold newlines and terminal escapes
        return "".join(char if char.isprintable() else "?" for char in line)


class ConfigError(Exception):
    """The configuration cannot be used; `str()` is one line per problem, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.source, problem.line, problem.column))
        super().__init__("\n".join(str(problem) for problem in self.problems))
