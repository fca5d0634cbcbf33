"""Safetensors in thirty lines: a JSON header with offsets, then the numbers, little-endian, rows first.

Written here so that the bytes of the export depend on our weights and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]


def write(path: Path, weights: dict[str, Half]) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    offset = 0
    for name, w in weights.items():
        header[name] = {"dtype": "F16", "shape": list(w.shape), "data_offsets": [offset, offset + w.nbytes]}
        offset += w.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers start at a multiple of eight
    with path.open("wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for w in weights.values():
            f.write(np.ascontiguousarray(w, dtype="<f2").tobytes())


def read(path: Path) -> dict[str, Half]:
    blob = path.read_bytes()
    start = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:start])
    return {
        name: np.frombuffer(blob[start + at["data_offsets"][0] : start + at["data_offsets"][1]], "<f2").reshape(
            at["shape"]
        )
        for name, at in header.items()
        if name != "__metadata__"
    }
