"""`python -m engines.tiny` becomes a server of the tiny model where it was told to listen."""

from __future__ import annotations

import pytest

from engines.tiny import __main__ as program
from engines.tiny import serve


@pytest.mark.parametrize(
    ("installed", "module"),
    [(("mlx_lm.server", "llama_cpp.server"), "mlx_lm"), (("llama_cpp.server",), "llama_cpp.server")],
)
def test_the_first_server_that_is_installed(
    installed: tuple[str, ...], module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "available", lambda: installed)
    made = program.argv("0.0.0.0", 9000)  # noqa: S104 - a command line that is not run
    assert made[1:3] == ["-m", module]
    assert made[made.index("--host") + 1 :][:3] == ["0.0.0.0", "--port", "9000"]  # noqa: S104 - the same


def test_none_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "available", lambda: ())
    with pytest.raises(SystemExit, match="needs mlx-lm or llama-cpp-python"):
        program.argv("127.0.0.1", 9000)
