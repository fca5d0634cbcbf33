"""The SDKs of the conversations: which package, which major version, which protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.node_driver import FOLDER, SCRIPTS
from tests.system.process import ROOT

_OLDER: Final = FOLDER / "older" / "bin" / "python"
_PACKAGE: Final = "tests.clients.conversations"


@dataclass(frozen=True, slots=True)
class Talker:
    """One SDK in one major version. `errors`: the classes of a refusal and of a stream that breaks."""

    name: str
    major: str
    argv: tuple[str, ...]
    errors: tuple[str, str]
    environment: tuple[tuple[str, str], ...] = ()

    @contextmanager
    def started(self, place: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
        """Talk, in a process of its own; every warning of Python's is an error."""
        assert Path(self.argv[0]).exists(), f"not installed: {self.argv[0]} (make venv-dev)"
        process = subprocess.Popen(
            self.argv,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(FOLDER), **place, **dict(self.environment)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def _python(name: str, major: str, module: str, *errors: str, older: bool = False) -> Talker:
    python = str(_OLDER) if older else sys.executable
    refused, broken = errors
    return Talker(
        f"{name} {major} (py)", major, (python, "-W", "error", "-m", f"{_PACKAGE}.{module}"), (refused, broken)
    )


def _node(name: str, major: str, speaks: str, package: str, *errors: str) -> Talker:
    refused, broken = errors
    return Talker(
        f"{name} {major} (js)",
        major,
        (str(FOLDER / "node"), str(SCRIPTS / "conversation.mjs")),
        (refused, broken),
        (("SPEAKS", speaks), ("PACKAGE", package), ("CLIENTS_FOLDER", str(FOLDER))),
    )


TALKERS: Final = (
    _python("openai", "2", "openai_chat", "PermissionDeniedError", "APIError", older=True),
    _python("openai", "3", "openai_chat", "PermissionDeniedError", "APIError"),
    _python("openai responses", "2", "openai_responses", "PermissionDeniedError", "APIError", older=True),
    _python("openai responses", "3", "openai_responses", "PermissionDeniedError", "APIError"),
    _python("anthropic", "1", "anthropic_messages", "PermissionDeniedError", "APIStatusError", older=True),
    _python("anthropic", "2", "anthropic_messages", "PermissionDeniedError", "APIStatusError"),
    _python("ollama", "0", "ollama_chat", "ResponseError", "ResponseError"),
    _node("openai", "7", "chat", "openai", "PermissionDeniedError", "APIError"),
    _node("openai responses", "7", "responses", "openai", "PermissionDeniedError", "APIError"),
    _node("anthropic", "0", "messages", "anthropic-sdk-0", "PermissionDeniedError", "APIError"),
    _node("anthropic", "1", "messages", "@anthropic-ai/sdk", "PermissionDeniedError", "APIError"),
    _node("ollama", "0", "ollama", "ollama", "ResponseError", "Error"),
)
