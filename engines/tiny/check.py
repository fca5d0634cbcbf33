"""`python -m engines.tiny.check [--verify N]`: do the committed files belong together?

* mlx/model.safetensors and tiny.gguf hold the same numbers, tensor by tensor, and they are the ones in training.json;
* the data they were trained on is the data that lies here;
* with `--verify N`: the first N steps of training give the recorded losses again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

# First of ours, because it sets the thread count before numpy is loaded.
from engines.tiny import train  # isort: skip
import numpy as np

from engines.tiny import gguf, tensorfile
from engines.tiny.anatomy import GGUF_FILE, MLX_DIR, RECORD, Anatomy, tensors
from engines.tiny.tensorfile import Half

LIMIT: Final = 4 * 2**20  # bytes, both weight files together
_TOLERANCE: Final = 2e-3  # relative; another BLAS adds in another order, and 20 steps amplify that


def exported(mlx_dir: Path = MLX_DIR, gguf_file: Path = GGUF_FILE) -> tuple[dict[str, Half], list[str]]:
    """The weights under our names, and the faults found."""
    stored = tensorfile.read(mlx_dir / "model.safetensors")
    other = gguf.read(gguf_file).tensors
    specs = list(tensors(Anatomy()))
    faults = [
        f"{t.mlx} and {t.gguf} differ"
        for t in specs
        if stored[t.mlx].shape != t.shape or not np.array_equal(stored[t.mlx].astype(np.float32), other[t.gguf])
    ]
    if {t.mlx for t in specs} != set(stored) or {t.gguf for t in specs} != set(other):
        faults.append("a tensor is missing or left over")
    size = (mlx_dir / "model.safetensors").stat().st_size + gguf_file.stat().st_size
    if size > LIMIT:
        faults.append(f"{size} bytes are more than {LIMIT}")
    return {t.name: stored[t.mlx] for t in specs}, faults


def recorded(weights: dict[str, Half], record: Path = RECORD) -> list[str]:
    """Faults between the exports and training.json."""
    content = json.loads(record.read_text(encoding="utf-8"))
    faults = []
    if content["weights"] != train.weights_hash(weights):
        faults.append("the exports are not the weights that training.json records")
    if content["data"] != train.data_hash(content["settings"]["seed"]):
        faults.append("the page or the code that reads it changed after training: train again")
    return faults


def repeated(steps: int, record: Path = RECORD) -> list[str]:
    """Faults between the recorded first losses and a fresh start from the same seed."""
    content = json.loads(record.read_text(encoding="utf-8"))
    settings = train.Settings(**content["settings"])
    faults = []
    for state, was in zip(train.run(settings), content["first_losses"][:steps], strict=False):
        loss = state.losses[-1]
        same = "exactly" if loss == was else "nearly" if abs(loss - was) <= _TOLERANCE * was else "NOT"
        print(f"step {len(state.losses)}: loss {loss:.6f}, recorded {was:.6f}, {same} the same")
        if same == "NOT":
            faults.append(f"step {len(state.losses)} gives loss {loss}, not {was}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verify", type=int, default=0, metavar="N", help=f"repeat N steps, at most {train.FIRST}")
    args = parser.parse_args()
    weights, faults = exported()
    faults += recorded(weights)
    faults += repeated(min(args.verify, train.FIRST)) if args.verify else []
    for fault in faults:
        print(fault, file=sys.stderr)
    print("faults found" if faults else "the exports agree with each other and with training.json")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
