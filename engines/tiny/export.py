"""`python -m engines.tiny.export CHECKPOINT`: one set of float16 weights → `mlx/` and `tiny.gguf`.

The checkpoint is rounded to float16 once, and both files are written from those numbers. GGUF keeps the norms as
float32 because llama.cpp multiplies by them in float32 only; every float16 is exactly a float32, so they stay equal.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from engines.tiny import gguf, tensorfile, tokens
from engines.tiny.anatomy import GGUF_FILE, MLX_DIR, Anatomy, tensors
from engines.tiny.tensorfile import Half

_NORMAL, _CONTROL = 1, 3  # llama.cpp's token types
_ALL_F16 = 1  # general.file_type
_MEAN_POOLING = 1  # one vector per text from /v1/embeddings, instead of one per byte


def export(weights: dict[str, Half], mlx_dir: Path = MLX_DIR, gguf_file: Path = GGUF_FILE) -> None:
    """Write both exports of `weights` (our names → float16)."""
    anatomy = Anatomy()
    mlx_dir.mkdir(parents=True, exist_ok=True)
    tensorfile.write(mlx_dir / "model.safetensors", {t.mlx: weights[t.name] for t in tensors(anatomy)})
    for name, content in (
        ("config.json", config(anatomy)),
        ("tokenizer.json", tokenizer()),
        ("tokenizer_config.json", tokenizer_config(anatomy)),
    ):
        (mlx_dir / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    arrays: dict[str, gguf.Array] = {
        t.gguf: weights[t.name] if len(t.shape) > 1 else weights[t.name].astype(np.float32) for t in tensors(anatomy)
    }
    gguf.write(gguf_file, gguf.Contents(gguf_keys(anatomy), arrays))


def config(a: Anatomy) -> dict[str, object]:
    """config.json as mlx_lm's `llama` reads it."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": a.width,
        "num_hidden_layers": a.layers,
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.heads,
        "head_dim": a.head_width,
        "intermediate_size": a.hidden,
        "vocab_size": a.vocabulary,
        "max_position_embeddings": a.context,
        "rope_theta": a.rope_base,
        "rope_traditional": True,
        "rms_norm_eps": a.norm_epsilon,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "bos_token_id": tokens.END_OF_TEXT,
        "eos_token_id": [tokens.END, tokens.END_OF_TEXT],
    }


def tokenizer() -> dict[str, object]:
    """tokenizer.json: byte-pair encoding with no pairs, over the whole text at once."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [
        {"id": i, "content": mark, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": True}
        for mark, i in tokens.MARKS.items()
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": {s: i for i, s in enumerate(tokens.spelled())}, "merges": []},
    }


def tokenizer_config(a: Anatomy) -> dict[str, object]:
    return {
        # Without this line transformers rebuilds a Llama tokenizer of its own from the vocabulary.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": a.context,
        "tool_parser_type": "json_tools",
        "chat_template": tokens.CHAT_TEMPLATE,
    }


def gguf_keys(a: Anatomy) -> dict[str, gguf.Value]:
    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.license": "apache-2.0",
        "general.file_type": _ALL_F16,
        "llama.block_count": a.layers,
        "llama.context_length": a.context,
        "llama.embedding_length": a.width,
        "llama.feed_forward_length": a.hidden,
        "llama.attention.head_count": a.heads,
        "llama.attention.head_count_kv": a.heads,
        "llama.attention.layer_norm_rms_epsilon": a.norm_epsilon,
        "llama.rope.dimension_count": a.head_width,
        "llama.rope.freq_base": a.rope_base,
        "llama.vocab_size": a.vocabulary,
        "llama.pooling_type": _MEAN_POOLING,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens.spelled(),
        "tokenizer.ggml.token_type": [_NORMAL] * 256 + [_CONTROL] * len(tokens.MARKS),
        "tokenizer.ggml.merges": [],
        "tokenizer.ggml.bos_token_id": tokens.END_OF_TEXT,
        "tokenizer.ggml.eos_token_id": tokens.END,
        "tokenizer.ggml.padding_token_id": tokens.END_OF_TEXT,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": tokens.CHAT_TEMPLATE,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="the .npz that engines.tiny.train wrote")
    parser.add_argument("--mlx", type=Path, default=MLX_DIR)
    parser.add_argument("--gguf", type=Path, default=GGUF_FILE)
    args = parser.parse_args()
    with np.load(args.checkpoint) as stored:
        weights = {t.name: stored[t.name].astype(np.float16) for t in tensors(Anatomy())}
    export(weights, args.mlx, args.gguf)
    for path in (args.mlx / "model.safetensors", args.gguf):
        print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
