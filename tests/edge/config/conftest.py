"""Writes a configuration and loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from edge.config.load import Overrides, load
from edge.config.problems import ConfigError
from edge.config.settings import Settings

Load: TypeAlias = Callable[..., Settings]
Mistakes: TypeAlias = Callable[..., list[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Load:
    """`settings(text, env)`: the settings that `text` makes."""

    def from_text(text: str, env: Mapping[str, str] | None = None, overrides: Overrides | None = None) -> Settings:
        file = tmp_path / "gateway.yaml"
        file.write_text(text)
        return load(file, env or {}, overrides)

    return from_text


@pytest.fixture
def mistakes(settings: Load) -> Mistakes:
    """`mistakes(text, env)`: what is wrong with `text`, each as `LINE:COL: key.path: message`."""

    def from_text(text: str, env: Mapping[str, str] | None = None, overrides: Overrides | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            settings(text, env, overrides)
        return [line.partition("gateway.yaml:")[2] or line for line in str(caught.value).splitlines()]

    return from_text
