"""The backward pass is the derivative of the forward pass; training repeats."""

from __future__ import annotations

import numpy as np
import pytest

from engines.tiny import network, train
from engines.tiny.anatomy import Anatomy, tensors
from engines.tiny.muon import orthogonal

SMALL = Anatomy(width=16, layers=2, heads=2, hidden=24, vocabulary=11)
IDS = np.random.default_rng(0).integers(0, 11, (2, 9))
COUNTS = np.random.default_rng(1).random((2, 8)).astype(np.float32)


def weights() -> network.Weights:
    rng = np.random.default_rng(2)
    made = network.initial(SMALL, 3)
    return {n: (w + 0.2 * rng.standard_normal(w.shape)).astype(np.float32) for n, w in made.items()}


@pytest.mark.parametrize("name", [t.name for t in tensors(SMALL)])
def test_gradient(name: str) -> None:
    """Uphill, the loss rises as steeply as the gradient is long. Uphill because float32 drowns a gentler slope."""
    w = weights()
    _, grads = network.loss_and_grads(w, SMALL, IDS, COUNTS, 0.0)
    length = float(np.linalg.norm(grads[name]))
    uphill = grads[name] / np.float32(length)

    def moved(by: float) -> float:
        return network.loss({**w, name: w[name] + np.float32(by) * uphill}, SMALL, IDS, COUNTS).value

    assert (moved(5e-3) - moved(-5e-3)) / 1e-2 == pytest.approx(length, rel=5e-3)


def test_the_future_is_hidden() -> None:
    changed = IDS.copy()
    changed[:, 5:] = (changed[:, 5:] + 1) % 11
    early = np.zeros_like(COUNTS)
    early[:, :4] = 1
    first, second = (network.loss(weights(), SMALL, ids, early).value for ids in (IDS, changed))
    assert first == pytest.approx(second, abs=1e-6)


def test_orthogonal() -> None:
    singular = np.linalg.svd(orthogonal(np.random.default_rng(5).standard_normal((24, 16)).astype(np.float32)))[1]
    assert np.all((singular > 0.5) & (singular < 1.5))


def test_training_repeats_itself() -> None:
    settings = train.Settings(steps=2, turn=1, budget=512)
    first, second = ([s.losses[-1] for s in train.run(settings)] for _ in range(2))
    assert first == second
