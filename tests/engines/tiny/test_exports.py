"""The committed files: small enough, equal to each other, and what training.json says."""

from __future__ import annotations

import json

from engines.tiny import check, exam, export, page, train  # `check` first: it sets one BLAS thread
from engines.tiny.anatomy import GGUF_FILE, MLX_DIR, RECORD, Anatomy


def test_exports_agree_with_each_other_and_with_the_record() -> None:
    weights, faults = check.exported()
    assert faults + check.recorded(weights) == []


def test_both_weight_files_together_are_small() -> None:
    assert (MLX_DIR / "model.safetensors").stat().st_size + GGUF_FILE.stat().st_size <= 4 * 2**20


def test_the_small_files_are_up_to_date() -> None:
    anatomy = Anatomy()
    for name, content in (
        ("config.json", export.config(anatomy)),
        ("tokenizer.json", export.tokenizer()),
        ("tokenizer_config.json", export.tokenizer_config(anatomy)),
    ):
        assert json.loads((MLX_DIR / name).read_text(encoding="utf-8")) == content


def test_it_knows_the_page() -> None:
    weights, _ = check.exported()
    singles = {name: w.astype("float32") for name, w in weights.items()}
    marks = exam.marks(singles, Anatomy(), page.read(), ("canonical", "system", "lower", "tools"))
    assert marks["canonical"] >= 0.95
    assert marks["system"] >= 0.95
    assert marks["lower"] >= 0.9
    assert marks["tools"] >= 0.8


def test_training_starts_as_recorded() -> None:
    assert check.repeated(2) == []
    assert len(json.loads(RECORD.read_text())["first_losses"]) == train.FIRST
