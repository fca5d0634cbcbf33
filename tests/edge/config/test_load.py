"""Which file is read, what the command line replaces, and what stands there without a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config.load import Overrides, load, locate
from edge.config.problems import ConfigError
from edge.config.settings import Settings
from edge.identity.token import mint
from tests.edge.config.conftest import Load, Mistakes


def test_the_order_of_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(None, {}) is None
    (tmp_path / "gateway.yaml").touch()
    assert locate(None, {}) == Path("gateway.yaml")
    assert locate(None, {"LLM_GATEWAY_CONFIG": "/e.yaml"}) == Path("/e.yaml")
    assert locate("o.yaml", {"LLM_GATEWAY_CONFIG": "/e.yaml"}) == Path("o.yaml")


def test_without_a_file_the_defaults_are_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    assert settings == Settings()
    assert [str(listener.bind) for listener in settings.listeners] == ["127.0.0.1:8080"]
    assert str(settings.admin.bind) == "127.0.0.1:8081"
    assert settings.engines.discover


def test_an_empty_file_is_the_defaults(settings: Load) -> None:
    assert settings("# nothing\n") == Settings()


@pytest.mark.parametrize("make", ["missing", "folder"])
def test_a_named_file_must_be_readable(tmp_path: Path, make: str) -> None:
    path = tmp_path / "x.yaml"
    if make == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match=r"x\.yaml: cannot be read"):
        load(path, {})
    with pytest.raises(ConfigError, match=r"x\.yaml: cannot be read"):
        load(None, {"LLM_GATEWAY_CONFIG": str(path)})


def test_the_command_line_replaces_addresses(settings: Load) -> None:
    text = "listeners: [{name: a, bind: '127.0.0.1:1', strict: true}, {name: b, bind: '127.0.0.1:2'}]"
    got = settings(text, {}, Overrides(listen="[::1]:0", admin="localhost:0"))
    assert [str(listener.bind) for listener in got.listeners] == ["[::1]:0", "127.0.0.1:2"]
    assert got.listeners[0].strict
    assert str(got.admin.bind) == "127.0.0.1:0"


def test_a_mistake_on_the_command_line_names_the_option(mistakes: Mistakes) -> None:
    assert mistakes("", {}, Overrides(listen="8080")) == [
        "--listen: is not HOST:PORT with a port from 0 to 65535; write `127.0.0.1:8080` instead"
    ]
    (line,) = mistakes("", {}, Overrides(admin="127.0.0.1:8080"))
    assert line == "--admin: 127.0.0.1:8080 is the address of listener `local` too"


def test_relative_paths_start_at_the_file(settings: Load, tmp_path: Path) -> None:
    got = settings("stores: {database: 'sqlite:///x/g.db'}\ntelemetry: {access_log: logs/a.jsonl}")
    assert got.stores.database == f"sqlite:///{tmp_path}/x/g.db"
    assert got.telemetry.access_log == f"{tmp_path}/logs/a.jsonl"
    assert settings("stores: {database: 'sqlite:////abs/g.db'}").stores.database == "sqlite:////abs/g.db"


def test_defaults_load_without_yaml_or_a_schema_library() -> None:
    script = (
        "import sys; from edge.config.load import load; load(None, {});"
        "print([m for m in ('yaml', 'jsonschema', 'alembic', 'sqlalchemy', 'difflib', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_secret_files_of_keys_are_looked_at_only_where_that_is_asked_for(tmp_path: Path) -> None:
    file, token = tmp_path / "gateway.yaml", mint(os.urandom).text
    entries = "".join(f"  - {{name: {name}, secret_file: {name}}}\n" for name in "abc")
    file.write_text(f"keys:\n{entries}")
    (tmp_path / "a").write_text(token)
    (tmp_path / "b").write_text(token)
    assert [key.secret_file for key in load(file, {}).keys] == [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    with pytest.raises(ConfigError) as caught:
        load(file, {}, key_files=True)
    first, second = str(caught.value).splitlines()
    assert "gateway.yaml:3:28: keys[1].secret_file: holds the key of `a`: every entry needs" in first
    assert "gateway.yaml:4:28: keys[2].secret_file: the file cannot be read: No such file" in second
    assert token not in str(caught.value)
