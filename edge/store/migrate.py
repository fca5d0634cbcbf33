"""Brings an older database to the schema's head. Imports alembic: `Database` calls it only when there is work."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from edge.identity.state import StateError

FOLDER: Final = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the missing migrations up to `to` in the caller's transaction; StateError for a newer gateway's database."""
    settings = _config()
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, to)
    except CommandError:
        raise StateError("the database was made by a newer gateway", "upgrade this one") from None


def head() -> str | None:
    """The newest version in `migrations/`."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    # There is no alembic.ini: the package runs from wherever pip put it.
    settings = Config()
    settings.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return settings
