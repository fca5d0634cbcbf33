"""Both file formats are read back as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.tiny import gguf, tensorfile

values = st.one_of(
    st.booleans(),
    st.integers(0, 2**32 - 1),
    st.floats(width=32, allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
)


@given(keys=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values))
def test_gguf_keys(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, gguf.Value]) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    gguf.write(path, gguf.Contents(keys, {}))
    assert gguf.read(path).keys == keys


def test_gguf_tensors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors: dict[str, gguf.Array] = {
        "a": rng.standard_normal((3, 5)).astype(np.float16),
        "b": rng.standard_normal(7).astype(np.float32),
    }
    gguf.write(tmp_path / "x.gguf", gguf.Contents({"k": 1}, tensors))
    back = gguf.read(tmp_path / "x.gguf").tensors
    assert all(np.array_equal(back[n], t) and back[n].dtype == t.dtype for n, t in tensors.items())


def test_gguf_refuses_something_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"GGUF\x02\0\0\0" + bytes(16))
    with pytest.raises(ValueError, match="not GGUF version 3"):
        gguf.read(tmp_path / "x")


def test_safetensors(tmp_path: Path) -> None:
    weights = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.ones(1, np.float16)}
    tensorfile.write(tmp_path / "x", weights)
    back = tensorfile.read(tmp_path / "x")
    assert all(np.array_equal(back[n], w) and back[n].shape == w.shape for n, w in weights.items())
