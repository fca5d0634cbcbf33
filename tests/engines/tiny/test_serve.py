"""The command lines: complete, local, and refused silence from the network."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jinja2

from engines.tiny import anatomy, serve, tokens


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


def test_llama_server_argv() -> None:
    argv = serve.llama_server_argv(Path("/bin/server"), 8084, slots=2, context=1024, mode="reranking")
    flags = pairs(argv)
    assert (argv[0], flags["--host"], flags["--port"]) == ("/bin/server", "127.0.0.1", "8084")
    assert (flags["--parallel"], flags["--ctx-size"]) == ("2", "2048")
    assert {"--offline", "--reranking"} <= {*argv}
    assert "--embeddings" not in argv


def test_llama_servers_template_is_the_one_that_was_learned() -> None:
    tools = [{"function": {"name": "f", "parameters": {"properties": {"a": {}, "b": {}}}}}]
    messages = [{"role": "user", "content": "hi"}]
    flags = pairs(serve.llama_server_argv(Path("server"), 1))
    assert flags["--chat-template"] != tokens.CHAT_TEMPLATE
    learned, served = (
        jinja2.Environment(autoescape=False).from_string(text).render(tools=tools, messages=messages)  # noqa: S701 - no HTML
        for text in (tokens.CHAT_TEMPLATE, flags["--chat-template"])
    )
    assert learned == served
    assert "f(a, b)" in learned


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
