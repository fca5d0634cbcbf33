"""Sizes and names: the one description of the network that training and both exports share.

A llama: RMSNorm, rotary positions, SwiGLU, input and output embedding tied. Both servers know that architecture
without a line of model code from us. Tied embeddings and few layers keep the two float16 exports under 4 MiB.

Rotary positions turn *neighbouring* pairs (0,1), (2,3), …: llama.cpp's layout for GGUF architecture `llama`, and
MLX's with `rope_traditional: true`. So both files hold the same numbers in the same order, and llama.cpp's converter's
permutation of the q and k rows, the classic way to get two exports that differ, is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PAGE: Final = HERE / "questions.md"
RECORD: Final = HERE / "training.json"
MLX_DIR: Final = HERE / "mlx"
GGUF_FILE: Final = HERE / "tiny.gguf"


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Widths count numbers, `context` counts tokens (bytes of text)."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 384
    vocabulary: int = 260  # 256 bytes, three marks, one unused: an even number of rows keeps files aligned
    context: int = 4096
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor: our short name, its name in each export, and its shape, rows first (output x input)."""

    name: str
    mlx: str
    gguf: str
    shape: tuple[int, ...]


def tensors(a: Anatomy) -> Iterator[TensorSpec]:
    """All tensors in the order in which they are initialised and written."""
    yield TensorSpec("embed", "model.embed_tokens.weight", "token_embd.weight", (a.vocabulary, a.width))
    for i in range(a.layers):
        mlx, gguf = f"model.layers.{i}.", f"blk.{i}."
        for short, long, brief, shape in _layer(a):
            yield TensorSpec(f"{i}.{short}", f"{mlx}{long}.weight", f"{gguf}{brief}.weight", shape)
    yield TensorSpec("norm", "model.norm.weight", "output_norm.weight", (a.width,))


def _layer(a: Anatomy) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    yield "norm_a", "input_layernorm", "attn_norm", (a.width,)
    for letter in "qkv":
        yield letter, f"self_attn.{letter}_proj", f"attn_{letter}", (a.width, a.width)
    yield "o", "self_attn.o_proj", "attn_output", (a.width, a.width)
    yield "norm_b", "post_attention_layernorm", "ffn_norm", (a.width,)
    yield "gate", "mlp.gate_proj", "ffn_gate", (a.hidden, a.width)
    yield "up", "mlp.up_proj", "ffn_up", (a.hidden, a.width)
    yield "down", "mlp.down_proj", "ffn_down", (a.width, a.hidden)
