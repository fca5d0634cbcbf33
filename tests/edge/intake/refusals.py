"""How the tests of this folder say: it is refused, and here is what the caller is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from policies.errors import Refusal
from policies.reasons import Reason


@contextmanager
def refused(reason: Reason, param: str | None = None) -> Iterator[None]:
    with pytest.raises(Refusal) as caught:
        yield
    assert (caught.value.reason, caught.value.param) == (reason, param)
    # Errors of a parser hold the document; they must not travel along.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
