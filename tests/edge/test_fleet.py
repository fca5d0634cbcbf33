"""What the fleet says when what names mean changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.fleet import Fleet
from edge.queue.engine_queue import Queues
from edge.queue.settings import QueueLimits
from edge.tasks import Tasks
from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model
from engines.transport import HttpTransport

BOX = Engine("box", Kind.LM_STUDIO, "http://127.0.0.1:1", 1)


async def test_a_new_preset_that_hides_models_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    presets = {"code"}
    transport = HttpTransport()
    fleet = Fleet(
        transport,
        [BOX],
        aliases={"coder": "qwen3@8bit"},
        find=False,
        own_ports=lambda: (),
        queues=Queues(QueueLimits()),
        tasks=Tasks(),
        clock=lambda: 0.0,
        home=tmp_path,
        presets=lambda: presets,
    )
    models = [Model(name, name) for name in ("qwen3", "qwen3@8bit", "qwen3@code")]
    fleet.catalogue = Catalogue([(BOX, models)], {"coder": "qwen3@8bit"}, presets)
    presets.add("8bit")
    fleet.presets_changed()
    assert caplog.messages == ["model qwen3@8bit: its name ends in a preset's; it is left out"]
    fleet.presets_changed()
    assert len(caplog.messages) == 1
    assert {target.model.name for target in fleet.offers("qwen3@8bit")} == {"qwen3"}
    await transport.close()
