"""A token in a file that somebody else keeps: a Compose or Kubernetes secret.

Unlike our own secrets (private_file.py) such a file may be readable by all: Docker mounts them 0444 and root's into a
container where nobody else lives. What everybody may write to is no secret of anybody, though.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from edge.identity.token import Token, parse

_MOST: Final = 4096
_FEWEST: Final = 12
"""Different characters in a secret. 43 random ones of 62 have fewer once in 10**18 secrets; `aaaa...` with its checksum
worked out has."""
STEP: Final = "make one: llm-gateway keys secret > FILE"


class SecretFileError(Exception):
    """The file holds no token that can be used; the text says why and what to do, and nothing of what it holds."""


def read_token(path: Path) -> Token:
    """The token in `path`, spaces and line ends around it aside. SecretFileError."""
    content = _content(path)
    if not content.strip():
        raise SecretFileError(f"the file is empty: {STEP}")
    token = parse(content.decode("latin-1").strip())
    if token is None:
        raise SecretFileError(f"the file holds no key (lgw_..., checked to the last character): {STEP}")
    if len(set(token.secret)) < _FEWEST:
        raise SecretFileError(f"the key in the file was not made by chance, so it can be guessed: {STEP}")
    return token


def _content(path: Path) -> bytes:
    try:
        # Without O_NONBLOCK a named pipe would hold up the start until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SecretFileError("is not a file")
            if status.st_mode & stat.S_IWOTH:
                raise SecretFileError("everybody may write to the file: chmod o-w it")
            return file.read(_MOST)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise SecretFileError(f"the file cannot be read: {reason}") from None
