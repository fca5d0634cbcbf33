"""Opens the shelf: settings and database in, what keeps responses out."""

from __future__ import annotations

import time

from edge.responses.settings import ResponseSettings
from edge.responses.shelf import Shelf
from edge.responses.store import open_store
from edge.store.database import Database
from edge.tasks import Tasks


def open_shelf(settings: ResponseSettings, database: Database, tasks: Tasks) -> Shelf:
    """Ready, and swept from now on. What an earlier run kept goes on being deleted in time, also where nothing new is
    kept. StateError."""
    shelf = Shelf(open_store(database, settings), wall=time.time, store=settings.store)
    _ = tasks.keep(shelf.sweep, name="responses")
    return shelf
