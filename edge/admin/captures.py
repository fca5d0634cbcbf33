"""`GET /capture/{id}`: what was captured of one request, for a key with scope `capture:read`; `admin` is not enough."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from edge.admin.answers import Answer, Ask, json_answer
from edge.admin.pacing import Turns
from observability.captures.reader import find
from policies.json import JSON

CAPTURE: Final = "/capture/{id}"
_READERS: Final = 2
"""At once: each may read all files there are."""
_NONE: Final[JSON] = {
    "error": {
        "message": "Nothing is captured of that request.",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_captured",
    }
}


class CapturePage:
    """The route. `folder` is that of the captures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = Turns(_READERS)

    async def show(self, ask: Ask) -> Answer:
        """One capture. The reader's right is looked at again behind the wait: reading may take seconds."""
        request_id = ask.inbound.path.rpartition("/")[2]
        with self._turns.take():
            found = await asyncio.to_thread(find, self._folder, request_id)
        await ask.readmit()
        return json_answer(404, _NONE) if found is None else json_answer(200, found)
