"""Makes docs/images/*.png: the boards, with numbers that a real Prometheus got from a gateway under load.

`python -m tests.pictures` needs `prometheus` and `chromium`. The drawing is `draw.py`'s, not Grafana's.
"""

from __future__ import annotations

import itertools
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from policies.json import Object, as_list, as_object, as_str
from tests.observability.boards.files import ROOT, boards, filled
from tests.pictures.draw import WIDTH, Curve, Rows, height_of, page
from tests.system.mixed_load import MixedLoad, settings
from tests.system.process import Gateway, configuration
from tests.system.prometheus import Prometheus, Series
from tests.system.recording_engine import RecordingEngine

IMAGES: Final = ROOT / "docs" / "images"
_SECONDS: Final = 240.0
_STEP: Final = 2.0
_EVERY: Final = "20s"
_OVER: Final = "4m"
_BAD: Final = 25
"""One round in so many is one in which something of everything goes wrong."""


def main() -> None:
    """Make them."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, RecordingEngine() as engine:
        gateway = Gateway(Path(folder) / "gateway", configuration(engine.url, **settings(engine.url, wait="30s")))
        try:
            gateway.start().ready()
            scraper = gateway.create_key("scraper", "--scope", "metrics:read")
            with Prometheus(Path(folder) / "prometheus", gateway, scraper) as prometheus:
                _load(MixedLoad(gateway, engine), seconds)
                for name, board in boards().items():
                    _picture(name, board, prometheus, seconds, Path(folder))
        finally:
            gateway.kill()


def _load(load: MixedLoad, seconds: float) -> None:
    begun, rounds = time.monotonic(), itertools.count()
    while time.monotonic() - begun < seconds:
        number = next(rounds)
        if number % _BAD == 0:
            load.round()
        load.calm(1 + round(3 + 3 * math.sin(number / 8)))


def _picture(name: str, board: Object, prometheus: Prometheus, seconds: float, folder: Path) -> None:
    source = folder / f"{name}.html"
    source.write_text(page(board, _curves(prometheus, time.time(), seconds), _rows(prometheus)), encoding="utf-8")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "no chromium"
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", f"--user-data-dir={folder}/browser")
    size = f"--window-size={WIDTH + 12},{height_of(board) + 6}"
    target = IMAGES / f"{name}.png"
    subprocess.run(
        (program, *options, size, f"--screenshot={target}", source.as_uri()),
        check=True,
        timeout=120,
        capture_output=True,
    )
    print(target, target.stat().st_size)  # noqa: T201 - a tool for the terminal


def _curves(prometheus: Prometheus, end: float, seconds: float) -> Callable[[Object], Sequence[Curve]]:
    def numbers(panel: Object) -> list[Curve]:
        return [
            Curve(_legend(target, series), series.values)
            for target in map(as_object, as_list(panel["targets"]))
            for series in prometheus.over(filled(as_str(target["expr"]), _EVERY, _OVER), end, seconds, _STEP)
        ]

    return numbers


def _rows(prometheus: Prometheus) -> Callable[[Object], Sequence[Rows]]:
    def numbers(panel: Object) -> list[Rows]:
        return [
            Rows(
                as_str(target["legendFormat"]),
                tuple(
                    (each.labels, each.values[0][1])
                    for each in prometheus.now(filled(as_str(target["expr"]), _EVERY, _OVER))
                ),
            )
            for target in map(as_object, as_list(panel["targets"]))
        ]

    return numbers


def _legend(target: Object, series: Series) -> str:
    text = as_str(target["legendFormat"])
    if text == "__auto":
        return ", ".join(series.labels.values())
    return re.sub(r"\{\{(\w+)\}\}", lambda label: series.labels.get(label[1], ""), text).strip()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
