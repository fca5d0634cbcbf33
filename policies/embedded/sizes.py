"""What is refused before any child sees it: too much text, too much data, names that are no file names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

import orjson

from policies.bundle import Bundle
from policies.embedded.findings import Problem

MAX_FILE: Final = 128 << 10
MAX_MODULES: Final = 1 << 20
MAX_DATA: Final = 8 << 20
MAX_FILES: Final = 256
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,7}", re.ASCII)


def oversized(bundle: Bundle) -> tuple[Problem, ...]:
    """Errors that make every further look at `bundle` a waste."""
    return tuple(chain(_files({**bundle.modules, **bundle.tests}), _twice(bundle), _data(bundle)))


def _files(texts: Mapping[str, str]) -> Iterator[Problem]:
    if len(texts) > MAX_FILES:
        yield _error("", "too_large", f"more than {MAX_FILES} files")
    if sum(map(len, texts.values())) > MAX_MODULES:
        yield _error("", "too_large", f"more than {MAX_MODULES >> 20} MiB of Rego")
    for name, text in texts.items():
        if not NAME.fullmatch(name):
            yield _error(
                ascii(name)[:100], "bad_name", "a file's name is made of letters, digits, '.', '_', '-' and '/'"
            )
        elif len(text) > MAX_FILE:
            yield _error(name, "too_large", f"more than {MAX_FILE >> 10} KiB in one file")
        elif (at := next((at for at, char in enumerate(text) if _unwanted(char)), None)) is not None:
            row, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
            yield Problem(name, row, column, "bad_character", f"{text[at]!a} cannot stand in a policy", "error")


def _unwanted(character: str) -> bool:
    """Control characters, half a character, and what makes text look like other text (Trojan Source)."""
    return (character < " " and character not in "\t\n\r") or "\ud800" <= character <= "\udfff" or character in _BIDI


_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x7f")


def _twice(bundle: Bundle) -> Iterator[Problem]:
    for name in sorted(bundle.modules.keys() & bundle.tests.keys()):
        yield _error(name, "bad_name", "is both a module and a test")
    if not bundle.modules:
        yield _error("", "no_modules", "there is no Rego in it")


def _data(bundle: Bundle) -> Iterator[Problem]:
    try:
        size = len(orjson.dumps(bundle.data))
    except (TypeError, orjson.JSONEncodeError) as error:
        yield _error("", "bad_data", f"the data is no JSON document: {error}")
        return
    if size > MAX_DATA:
        yield _error("", "too_large", f"more than {MAX_DATA >> 20} MiB of data")


def _error(file: str, code: str, message: str) -> Problem:
    return Problem(file, 0, 0, code, message, "error")
