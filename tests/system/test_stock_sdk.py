"""The official ollama package fetches and deletes models through the gateway, whichever engine it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ollama
import pytest

from engines.contract import Kind
from tests.system.stocked_engine import SECRET, A
from tests.system.stocking import ENGINES, Place, Places


@contextmanager
def client(here: Place) -> Iterator[ollama.Client]:
    host, port = here.gateway.address
    bearer = {"Authorization": f"Bearer {here.writer.secret}"}
    made = ollama.Client(f"http://{host}:{port}", headers=bearer, timeout=30.0)
    yield made
    made.close()  # type: ignore[no-untyped-call]


@ENGINES
def test_fetch_with_progress_use_and_delete(place: Places, kind: Kind) -> None:
    with client(place(kind)) as own:
        told = [(each.status, each.completed, each.total) for each in own.pull("tiny", stream=True)]
        assert told == [
            ("pulling manifest", None, None),
            ("pulling " + "a" * 12, 10, 60),
            ("pulling " + "a" * 12, 60, 60),
            ("pulling " + "b" * 12, 40, 40),
            ("success", None, None),
        ]
        assert "tiny" in {model.model for model in own.list().models}
        assert own.chat("tiny", [{"role": "user", "content": "hi"}]).message.content == "Hello there"
        assert own.delete("tiny").status == "success"
        assert "tiny" not in {model.model for model in own.list().models}
        assert own.pull("tiny").status == "success"


@ENGINES
def test_what_fails_raises(place: Places, kind: Kind) -> None:
    here = place(kind)
    with client(here) as own:
        here.stocked.story = [here.stocked.failing("file does not exist")]
        for stream in (False, True):
            with pytest.raises(ollama.ResponseError, match="model_not_in_registry") as missing:
                _ = list(own.pull("nothere", stream=stream))
            assert missing.value.status_code == 404
        here.stocked.story = [here.stocked.layer(A, 1, 2), here.stocked.failing(SECRET)]
        with pytest.raises(ollama.ResponseError, match="engine_broke") as broken:
            _ = list(own.pull("tiny", stream=True))
        assert SECRET not in str(broken.value)
        with pytest.raises(ollama.ResponseError, match="model_not_permitted") as gone:
            own.delete("nothere")
        assert gone.value.status_code == 403
        with pytest.raises(ollama.ResponseError, match="insecure"):
            own.pull("tiny", insecure=True)
