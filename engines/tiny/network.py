"""The transformer in numpy: forward, loss, and the backward pass written out.

Why not MLX, which is at hand: on Linux its CPU back end multiplies these matrices at 6 GFLOP/s on one core of the
build machine, where numpy's OpenBLAS reaches 100, and its exponential is nearly twenty times slower. Training would
take hours instead of a quarter of one (README, "Figures"). Tests hold this file against finite differences.

Letters in shapes: B conversations, T tokens each, N = B·T, D width, H heads, K head width, F hidden, V vocabulary.
Every `_x_back` takes what flows back into x's output, adds to `grads`, and returns what flows back into x's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.tiny.anatomy import Anatomy, tensors

Float = NDArray[np.float32]
Half = NDArray[np.float16]
Complex = NDArray[np.complex64]
Ids = NDArray[np.int64]
Weights = dict[str, Float]


class Loss(NamedTuple):
    """`value`: weighted mean, nats per byte. `right`: Bx(T-1), whether the likeliest token was the true one."""

    value: float
    right: NDArray[np.bool_]


def initial(anatomy: Anatomy, seed: int) -> Weights:
    """Normal, scaled by fan-in; the two matrices that write into the residual stream start at zero."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for t in tensors(anatomy):
        if len(t.shape) == 1:
            weights[t.name] = np.ones(t.shape, np.float32)
        elif t.name.endswith((".o", ".down")):
            weights[t.name] = np.zeros(t.shape, np.float32)
        else:
            scale = 0.05 if t.name == "embed" else t.shape[1] ** -0.5
            weights[t.name] = (rng.standard_normal(t.shape) * scale).astype(np.float32)
    return weights


def loss(weights: Weights, anatomy: Anatomy, ids: Ids, mask: Float) -> Loss:
    """`ids` BxT, `mask` Bx(T-1): how much predicting ids[:, 1:] counts."""
    logits = _Pass(weights, anatomy, ids[:, :-1]).logits
    return _cross_entropy(logits, ids[:, 1:].reshape(-1), mask, 0.0)[0]


def loss_and_grads(weights: Weights, anatomy: Anatomy, ids: Ids, mask: Float, z: float) -> tuple[Loss, Weights]:
    """As `loss`, with gradients. `z` weighs the square of log Σ exp(logits), see train.py."""
    run = _Pass(weights, anatomy, ids[:, :-1])
    result, back = _cross_entropy(run.logits, ids[:, 1:].reshape(-1), mask, z)
    return result, run.backward(back)


def _cross_entropy(logits: Float, targets: Ids, mask: Float, z: float) -> tuple[Loss, Float]:
    """Logits NxV → the loss and its gradient NxV."""
    rows = np.arange(len(targets))
    share = mask.reshape(-1) / mask.sum()
    top = logits.max(1, keepdims=True)
    p = np.exp(logits - top)
    total = p.sum(1, keepdims=True)
    level = (top + np.log(total))[:, 0]
    p /= total
    nats = level - logits[rows, targets]
    right = (logits.argmax(1) == targets).reshape(mask.shape)
    p *= (share * (1 + 2 * z * level))[:, None]
    p[rows, targets] -= share
    return Loss(float(nats @ share), right), p


@dataclass(slots=True)
class _Layer:
    """What one layer's backward pass needs to remember."""

    norm_a: tuple[Float, Float]
    q: Float  # BxHxTxK, turned
    k: Float
    v: Float
    looks: Float  # BxHxTxT, each row sums to one
    mixed: Float  # NxD
    norm_b: tuple[Float, Float]
    inner: Float  # NxD, input of gate and up
    gate: Float
    gated: Float  # sigmoid of gate
    up: Float


class _Pass:
    """One forward pass and its memory."""

    def __init__(self, weights: Weights, anatomy: Anatomy, ids: Ids) -> None:
        self.w, self.a, self.ids = weights, anatomy, ids
        self.turn = turns(anatomy, ids.shape[1])
        length = ids.shape[1]
        self.future = np.triu(np.full((length, length), -1e9, np.float32), 1)
        self.layers: list[_Layer] = []
        x = weights["embed"][ids.reshape(-1)]
        for i in range(anatomy.layers):
            x = self._layer(i, x)
        self.last, self.norm = _norm(x, weights["norm"], anatomy.norm_epsilon)
        self.logits: Float = self.last @ weights["embed"].T

    def _layer(self, i: int, x: Float) -> Float:
        w, eps = self.w, self.a.norm_epsilon
        h, norm_a = _norm(x, w[f"{i}.norm_a"], eps)
        q, k = (self._turned(h @ w[f"{i}.{c}"].T, self.turn) for c in "qk")
        v = self._heads(h @ w[f"{i}.v"].T)
        looks = _product(q, k.swapaxes(2, 3))
        looks *= np.float32(self.a.head_width**-0.5)
        looks += self.future
        looks -= looks.max(3, keepdims=True)
        np.exp(looks, out=looks)
        looks /= looks.sum(3, keepdims=True)
        mixed = self._flat(_product(looks, v))
        x = x + mixed @ w[f"{i}.o"].T
        inner, norm_b = _norm(x, w[f"{i}.norm_b"], eps)
        gate, up = inner @ w[f"{i}.gate"].T, inner @ w[f"{i}.up"].T
        gated = np.float32(1) / (np.float32(1) + np.exp(-gate))
        self.layers.append(_Layer(norm_a, q, k, v, looks, mixed, norm_b, inner, gate, gated, up))
        out: Float = x + (gate * gated * up) @ w[f"{i}.down"].T
        return out

    def backward(self, back: Float) -> Weights:
        """`back` NxV: gradient of the logits."""
        grads: Weights = {"embed": back.T @ self.last}
        x = _norm_back(back @ self.w["embed"], self.norm, self.w, grads, "norm")
        for i in reversed(range(self.a.layers)):
            x = self._layer_back(i, x, grads)
        hot = np.zeros((len(x), self.a.vocabulary), np.float32)  # as a product: np.add.at is ten times slower
        hot[np.arange(len(x)), self.ids.reshape(-1)] = 1
        grads["embed"] += hot.T @ x
        return grads

    def _layer_back(self, i: int, back: Float, grads: Weights) -> Float:
        w, m = self.w, self.layers[i]
        silu = m.gate * m.gated
        hidden: Float = back @ w[f"{i}.down"]
        grads[f"{i}.down"] = _product(back.T, silu * m.up)
        up = hidden * silu
        gate = hidden * m.up * (m.gated + silu * (np.float32(1) - m.gated))
        grads[f"{i}.up"], grads[f"{i}.gate"] = _product(up.T, m.inner), _product(gate.T, m.inner)
        inner = _product(up, w[f"{i}.up"]) + _product(gate, w[f"{i}.gate"])
        back = back + _norm_back(inner, m.norm_b, w, grads, f"{i}.norm_b")
        return back + self._attention_back(i, back, grads)

    def _attention_back(self, i: int, back: Float, grads: Weights) -> Float:
        w, m = self.w, self.layers[i]
        grads[f"{i}.o"] = back.T @ m.mixed
        mixed = self._heads(back @ w[f"{i}.o"])
        v = self._flat(_product(m.looks.swapaxes(2, 3), mixed))
        looks = _product(mixed, m.v.swapaxes(2, 3))
        looks -= (looks * m.looks).sum(3, keepdims=True)
        looks *= m.looks
        looks *= np.float32(self.a.head_width**-0.5)
        unturn = self.turn.conj()
        q = self._flat(self._turned(self._flat(_product(looks, m.k)), unturn))
        k = self._flat(self._turned(self._flat(_product(looks.swapaxes(2, 3), m.q)), unturn))
        seen = m.norm_a[0] * w[f"{i}.norm_a"]
        h = np.zeros_like(back)
        for letter, flow in (("q", q), ("k", k), ("v", v)):
            grads[f"{i}.{letter}"] = flow.T @ seen
            h += flow @ w[f"{i}.{letter}"]
        return _norm_back(h, m.norm_a, w, grads, f"{i}.norm_a")

    def _heads(self, x: Float) -> Float:
        """NxD → BxHxTxK, without copying."""
        return x.reshape(*self.ids.shape, self.a.heads, self.a.head_width).transpose(0, 2, 1, 3)

    def _flat(self, x: Float) -> Float:
        """BxHxTxK → NxD."""
        return x.transpose(0, 2, 1, 3).reshape(-1, self.a.width)

    def _turned(self, x: Float, turn: Complex) -> Float:
        """NxD → BxHxTxK with rotary positions; a pair of numbers is one complex number."""
        pairs = x.view(np.complex64).reshape(*self.ids.shape, self.a.heads, -1) * turn
        return pairs.reshape(len(x), -1).view(np.float32).reshape(*self.ids.shape, self.a.heads, -1).swapaxes(1, 2)


def turns(a: Anatomy, length: int) -> Complex:
    """Tx1x(K/2) unit numbers: how far pair j of a head is turned at position t."""
    speed = a.rope_base ** (-np.arange(0, a.head_width, 2) / a.head_width)
    angles = np.outer(np.arange(length), speed)
    out: Complex = np.exp(1j * angles).astype(np.complex64)[:, None, :]
    return out


def _product(a: Float, b: Float) -> Float:
    """`a @ b`, whose type numpy's stubs lose for stacked matrices."""
    out: Float = np.matmul(a, b)
    return out


def _norm(x: Float, gain: Float, epsilon: float) -> tuple[Float, tuple[Float, Float]]:
    scale = 1 / np.sqrt((x * x).mean(1, keepdims=True) + np.float32(epsilon))
    unit = x * scale
    return unit * gain, (unit, scale)


def _norm_back(back: Float, memory: tuple[Float, Float], w: Weights, grads: Weights, name: str) -> Float:
    unit, scale = memory
    grads[name] = (back * unit).sum(0)
    back = back * w[name]
    out: Float = scale * (back - unit * (back * unit).mean(1, keepdims=True))
    return out
