"""`python -m engines.tiny.train`: page → weights, in about twenty minutes on one core.

Deterministic: the same seed, machine and numpy repeat it bit for bit. Other machines add numbers in another
order and end up near, not at, the same weights; `check.py --verify` therefore compares losses with a tolerance.

Every run records itself in training.json: settings, loss curve, exam marks, and hashes of data and weights.
"""

from __future__ import annotations

import os

# One thread, said before numpy loads its BLAS: two threads split sums differently, and one core is enough to take.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", VECLIB_MAXIMUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from engines.tiny import corpus, exam, network, page
from engines.tiny.anatomy import RECORD, Anatomy, tensors
from engines.tiny.muon import Muon
from engines.tiny.network import Weights

CHECKPOINT: Final = Path(tempfile.gettempdir()) / "llm-gateway-tiny.npz"
FIRST: Final = 20  # so many losses are recorded in full, for --verify


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the outcome, apart from the data."""

    steps: int = 1480
    turn: int = 1100  # the step after which the learning rate falls to nothing in a straight line
    seed: int = 1
    budget: int = 3072  # tokens per step
    matrix_rate: float = 0.008
    other_rate: float = 0.003
    warm_up: int = 50  # steps
    # Keeps log of the sum of exp(logits) near zero: llama_cpp.server divides the logits of recent tokens by 1.1 unless
    # told not to (repeat_penalty), and among bytes every letter is recent. A best logit of zero cannot be divided away.
    z: float = 1e-3


@dataclass(slots=True)
class State:
    """Where training stands. `losses`: one per step, nats per byte. `seconds`: spent in earlier runs."""

    weights: Weights
    losses: list[float]
    seconds: float = 0.0


def run(settings: Settings, state: State | None = None) -> Iterator[State]:
    """Train from the start, or from a state at the turn; yields after every step. Weights are updated in place.

    At the turn the tools are narrowed to the drill and the optimizer forgets its averages. So a run can be broken off
    there (by a machine that is needed for something else), taken up from the weights alone, and still give the same
    result as in one go.
    """
    anatomy = Anatomy()
    state = state or State(network.initial(anatomy, settings.seed), [])
    if len(state.losses) not in {0, settings.turn}:
        raise ValueError(f"a run can be taken up after step {settings.turn}, not after {len(state.losses)}")
    optimizer = Muon(state.weights, settings.matrix_rate, settings.other_rate)
    data = corpus.batches(page.read(), settings.seed, settings.budget)
    while len(state.losses) < settings.steps:
        if len(state.losses) == settings.turn:
            optimizer = Muon(state.weights, settings.matrix_rate, settings.other_rate)
            data = corpus.batches(page.read(), settings.seed + 1, settings.budget, drill=True)
        ids, counts = next(data)
        loss, grads = network.loss_and_grads(state.weights, anatomy, ids, counts, settings.z)
        state.losses.append(loss.value)
        optimizer.step(grads, _schedule(len(state.losses), settings))
        yield state


def _schedule(number: int, s: Settings) -> float:
    """Share of the learning rates at step `number`: up, level, gently down to the turn, then down to nothing."""
    gentle = min(1.0, number / s.warm_up, 1.5 * (1 - (min(number, s.turn) - 1) / 2000))
    return gentle * min(1.0, (s.steps - number + 1) / (s.steps - s.turn + 1))


def data_hash(seed: int) -> str:
    """SHA-256 over the first conversations: changes when the page or what is made of it does, not with formatting."""
    digest, rng, the_page = hashlib.sha256(), Random(seed), page.read()
    for i in range(4000):
        ids, counts = corpus.talk(the_page, rng, drill=i >= 2000).encoded()  # noqa: PLR2004 - half of each
        digest.update(np.array(ids, "<u2").tobytes() + np.array(counts, "<f4").tobytes())
    return digest.hexdigest()


def weights_hash(halves: dict[str, network.Half]) -> str:
    """SHA-256 over the float16 numbers in the order of `anatomy.tensors`."""
    return hashlib.sha256(b"".join(halves[t.name].astype("<f2").tobytes() for t in tensors(Anatomy()))).hexdigest()


def train(settings: Settings, start: State | None, checkpoint: Path, every: int) -> State:
    """Run to the end; print and save on the way, at the turn to a file of its own."""
    the_page, began, before = page.read(), time.monotonic(), start.seconds if start else 0.0
    state: State | None = None
    print(f"{sum(math.prod(t.shape) for t in tensors(Anatomy())):,} weights, {settings}", flush=True)
    first = len(start.losses) if start else 0
    for state in run(settings, start):
        number = len(state.losses)
        if number % every == 0 or number == settings.steps:
            marks = exam.marks(state.weights, Anatomy(), the_page, ("canonical", "unseen", "tools"))
            state.seconds = before + time.monotonic() - began
            left = (time.monotonic() - began) / (number - first) * (settings.steps - number)
            shown = ", ".join(f"{name} {mark:.0%}" for name, mark in marks.items())
            loss = np.mean(state.losses[-every:])
            print(f"step {number}/{settings.steps} loss {loss:.4f}, {shown}, {left:.0f} s left", flush=True)
            save(checkpoint, state)
            if number == settings.turn:
                save(checkpoint.with_suffix(".turn.npz"), state)
    if state is None:
        raise ValueError("no steps to run")
    return state


def save(path: Path, state: State) -> None:
    more = {"losses": np.array(state.losses), "seconds": np.array([state.seconds])}
    with path.open("wb") as f:
        np.savez(f, **state.weights, **more)  # type: ignore[arg-type]  # the stub takes any name for `allow_pickle`


def load(path: Path) -> State:
    with np.load(path) as stored:
        weights = {t.name: stored[t.name] for t in tensors(Anatomy())}
        return State(weights, [float(x) for x in stored["losses"]], float(stored["seconds"][0]))


def record(settings: Settings, state: State, path: Path, every: int) -> dict[str, float]:
    """Write training.json; gives the exam marks of the weights as they will be exported."""
    the_page = page.read()
    halves = {name: w.astype(np.float16) for name, w in state.weights.items()}
    rounded = {name: w.astype(np.float32) for name, w in halves.items()}
    marks = exam.marks(rounded, Anatomy(), the_page, exam.papers(the_page))
    steps = range(every, len(state.losses) + 1, every)
    content = {
        "settings": asdict(settings),
        "data": data_hash(settings.seed),
        "weights": weights_hash(halves),
        "numpy": np.__version__,
        "seconds": round(state.seconds),
        "marks": {name: round(mark, 4) for name, mark in marks.items()},
        "first_losses": state.losses[:FIRST],
        "losses": {str(n): round(float(np.mean(state.losses[n - every : n])), 4) for n in steps},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return marks


def main() -> None:
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, about in (("steps", "steps in all"), ("turn", "last step before the decay"), ("seed", "of everything")):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name), help=about)
    parser.add_argument("--every", type=int, default=50, help="steps between progress lines")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--resume", type=Path, help="the .turn.npz of a run with the same settings")
    args = parser.parse_args()
    settings = Settings(args.steps, min(args.turn, args.steps), args.seed)
    state = train(settings, load(args.resume) if args.resume else None, args.checkpoint, args.every)
    marks = record(settings, state, args.record, args.every)
    print(f"{args.checkpoint} and {args.record} written; marks as exported: {marks}")


if __name__ == "__main__":
    main()
