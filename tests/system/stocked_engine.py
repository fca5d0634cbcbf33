"""An engine that fetches and deletes models, as the recording engine plays it: an Ollama, or a Docker Model Runner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.contract import Kind
from policies.json import JSON, Object, as_str
from tests.system.native_engines import last, line
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Asked, Fin, Hold, Send, Step, behave, chunk, head, whole

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
SECRET = "oops 10.1.2.3:5000: /srv/models/secret-host"
"""In all that it says when it fails; no caller may see it."""


@dataclass
class Stocked:
    """`models` are the names that it lists. `story` are the lines of a pull, behind which it has the model; with
    `holds` it stops before the last one until the test lets it go on. `refuses` is the status of a delete."""

    kind: Kind
    models: list[str] = field(default_factory=list)
    story: list[Object] | None = None
    holds: bool = False
    status: int = 200
    refuses: int = 200

    def again(self, models: list[str]) -> None:
        """Begin anew."""
        self.models, self.story, self.holds, self.status, self.refuses = models, None, False, 200, 200

    def behind(self, engine: RecordingEngine) -> None:
        """Let `engine` play it."""
        engine.listing = self._listed
        engine.otherwise = self._done

    def layer(self, digest: str, came: int, size: int) -> Object:
        """A line about a layer, in the engine's own form."""
        if self.kind is Kind.OLLAMA:
            return {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size, "completed": came}
        return {
            "type": "progress",
            "message": "x",
            "total": 100,
            "layer": {"id": digest, "size": size, "current": came},
        }

    @property
    def usual(self) -> list[Object]:
        """A pull that goes well."""
        last: Object = {"status": "success"} if self.kind is Kind.OLLAMA else {"type": "success", "message": "done"}
        first: list[Object] = [{"status": "pulling manifest"}] if self.kind is Kind.OLLAMA else []
        return [*first, self.layer(A, 10, 60), self.layer(A, 60, 60), self.layer(B, 40, 40), last]

    def failing(self, text: str) -> Object:
        """A line that says that it fails."""
        return {"error": text} if self.kind is Kind.OLLAMA else {"type": "error", "message": text}

    def _listed(self, asked: Asked) -> Sequence[Step]:
        if asked.path == "/":
            return [Send(whole("Docker Model Runner is running"))]
        if asked.path == "/api/version":
            return [Send(whole({"version": "0.9"}))]
        if asked.path == "/api/tags":
            return [Send(whole({"models": [{"name": name, "model": name} for name in self.models]}))]
        rows: list[JSON] = [{"id": name, "object": "model", "created": 1_700_000_000} for name in self.models]
        return [Send(whole({"object": "list", "data": rows}))]

    def _done(self, asked: Asked) -> Sequence[Step]:
        if asked.path in {"/api/pull", "/models/create"}:
            return self._pulled(as_str(asked.document.get("model") or asked.document.get("from")))
        if asked.method == "DELETE":
            return self._deleted(asked)
        if asked.path == "/api/chat":
            return [Send(whole(last(line("Hello there"))))]
        return [Hold(), *behave(asked)] if self.holds else behave(asked)

    def _pulled(self, name: str) -> Sequence[Step]:
        story = self.usual if self.story is None else self.story
        if self.status != 200:
            return [Send(whole(self.failing(SECRET) if not story else story[0], self.status))]
        lines = [Send(chunk(json.dumps(line).encode() + b"\n")) for line in story]
        opened = Send(head(200, "Content-Type: application/json", "Transfer-Encoding: chunked"))
        if self.story is None:
            self.models.append(name)
        if self.holds:
            return [opened, *lines[:-1], Hold(), *lines[-1:], Send(chunk(b""))]
        return [opened, *lines, Send(chunk(b"")), Fin()]

    def _deleted(self, asked: Asked) -> Sequence[Step]:
        named = asked.path.removeprefix("/models/") if self.kind is not Kind.OLLAMA else asked.document.get("model")
        if self.refuses != 200 or named not in self.models:
            return [Send(whole({"error": SECRET}, self.refuses if self.refuses != 200 else 404))]
        self.models.remove(as_str(named))
        return [Send(whole([{"Untagged": named}] if self.kind is not Kind.OLLAMA else {}))]
