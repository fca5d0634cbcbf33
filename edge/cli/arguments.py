"""What the parsers of several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias, TypeVar

SubParsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name

_T = TypeVar("_T")


def count_to(most: int) -> Callable[[str], int]:
    """For `type=`: a whole number from 1 to `most`, in ASCII digits."""

    def count(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else 0
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"write a whole number from 1 to {most}")
        return number

    return count


def checked(kind: Callable[[str], _T]) -> Callable[[str], _T]:
    """`kind` for argparse, which shows the text of ArgumentTypeError but hides that of ValueError."""

    def convert(text: str) -> _T:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert
