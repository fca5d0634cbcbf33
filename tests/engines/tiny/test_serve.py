"""The command lines: complete, local, and refused silence from the network."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

from engines.tiny import anatomy, serve


def pairs(argv: list[str]) -> dict[str, str]:
    return {a: b for a, b in pairwise(argv) if a.startswith("--")}


def test_mlx_lm_argv() -> None:
    argv = serve.mlx_lm_argv(8082)
    assert argv[:4] == [sys.executable, "-m", "mlx_lm", "server"]
    flags = pairs(argv)
    assert flags["--host"] == "127.0.0.1"
    assert flags["--port"] == "8082"
    assert flags["--model"] == str(anatomy.MLX_DIR.resolve()) == serve.MLX_MODEL_NAMES[0]
    assert int(flags["--decode-concurrency"]) <= 4


def test_llama_cpp_argv() -> None:
    argv = serve.llama_cpp_argv(8083)
    assert argv[:3] == [sys.executable, "-m", "llama_cpp.server"]
    flags = pairs(argv)
    assert flags["--interrupt_requests"] == "False"
    assert flags["--model_alias"] == "tiny"
    assert flags["--n_ctx"] == str(anatomy.Anatomy().context) == str(serve.CONTEXT)
    assert flags["--host"] == "127.0.0.1"
    assert not flags.keys() & {"--embedding", "--api_key", "--chat_format"}


def test_llama_cpp_options() -> None:
    flags = pairs(serve.llama_cpp_argv(1, embedding=True, api_key="k", chat_format="chatml-function-calling"))
    assert flags["--embedding"] == "true"
    assert flags["--api_key"] == "k"
    assert flags["--chat_format"] == "chatml-function-calling"


def test_environment_is_offline() -> None:
    environment = serve.environment()
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert all(isinstance(value, str) for value in environment.values())


def test_looking_imports_nothing_heavy() -> None:
    code = (
        "import sys; from engines.tiny import serve; found = serve.available();"
        "assert set(found) <= {'mlx_lm.server', 'llama_cpp.server'};"
        "assert not {'mlx', 'mlx_lm', 'llama_cpp', 'numpy', 'fastapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
