"""Command lines that serve the tiny model with real servers. Starting, watching and stopping them is demo.py's work.

Names, as measured with mlx-lm 0.32.2 and llama-cpp-python 0.3.36:

* `mlx_lm.server` lists the resolved path of `mlx/` in /v1/models and accepts that path or `default_model` (see
  `MLX_MODEL_NAMES`). **Any other name is a Hugging Face repository to load**, so always send one of the two; with
  `environment()` the attempt fails offline with 404 instead of downloading. The answer repeats the name asked for.
* `llama_cpp.server` lists and accepts `tiny`; every other name silently means `tiny` as well.

Ready means: `GET /health` answers 200 (mlx_lm; it says so before the model is loaded, and the first request waits for
that), `GET /v1/models` answers 200 (llama_cpp, which opens its port only when the model is loaded), `GET /health`
answers 200 and no longer 503 (llama-server).
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from engines.tiny import tokens

_JOINED: Final = "f.parameters.properties | join"
_KEYS: Final = "f.parameters.properties.keys() | list | join"
_HERE: Final = Path(__file__).resolve().parent
MLX_DIR: Final = _HERE / "mlx"
GGUF_FILE: Final = _HERE / "tiny.gguf"

ALIAS: Final = "tiny"
CONTEXT: Final = 4096  # tokens, which are bytes
_EMBEDDED: Final = 2048  # tokens of a text to embed
MLX_MODEL_NAMES: Final = (str(MLX_DIR), "default_model")
MLX_READY_PATH: Final = "/health"
LLAMA_CPP_READY_PATH: Final = "/v1/models"
LLAMA_SERVER_READY_PATH: Final = "/health"


def mlx_lm_argv(port: int, host: str = "127.0.0.1", *, max_tokens: int = 512) -> list[str]:
    """`mlx_lm.server` on `port`. `max_tokens` is for requests that name none.

    `--decode-concurrency 4`: answers once leaked between concurrent requests at 16 (facts/engines.md 2.3, #965).
    `--prompt-cache-bytes`: the default of 10 GB is meant for another kind of model.
    """
    return [
        *(sys.executable, "-m", "mlx_lm", "server"),
        *("--model", str(MLX_DIR), "--host", host, "--port", str(port)),
        *("--max-tokens", str(max_tokens), "--temp", "0.0"),
        *("--decode-concurrency", "4", "--prompt-concurrency", "2"),
        *("--prompt-cache-size", "4", "--prompt-cache-bytes", "64MB"),
        *("--log-level", "WARNING"),
    ]


def llama_cpp_argv(
    port: int,
    host: str = "127.0.0.1",
    *,
    embedding: bool = False,
    api_key: str | None = None,
    threads: int = 1,
    chat_format: str | None = None,
    context: int = CONTEXT,
) -> list[str]:
    """`llama_cpp.server` on `port`; with `embedding` it answers /v1/embeddings too, and chat as before.

    `--interrupt_requests False`: by default any new request cuts the stream that is running. `--n_ctx`: the default is
    half of ours. With `embedding`, a larger batch: a text to embed is cut at one batch. Without `chat_format` the
    template inside the GGUF is used, which is the one the model learned.
    """
    argv = [
        *(sys.executable, "-m", "llama_cpp.server"),
        *("--model", str(GGUF_FILE), "--model_alias", ALIAS, "--host", host, "--port", str(port)),
        *("--n_ctx", str(context), "--n_gpu_layers", "0"),
        *("--n_threads", str(threads), "--n_threads_batch", str(threads)),
        *("--interrupt_requests", "False", "--verbose", "False"),
    ]
    if embedding:
        argv += ["--embedding", "true", "--n_batch", str(_EMBEDDED), "--n_ubatch", str(_EMBEDDED)]
    if api_key is not None:
        argv += ["--api_key", api_key]
    if chat_format is not None:
        argv += ["--chat_format", chat_format]
    return argv


def llama_server() -> Path | None:
    """The program, where the tests' build of llama-cpp-python has put it (requirements/llama-cpp.cmake)."""
    found = find_spec("llama_cpp")
    folders = [] if found is None else found.submodule_search_locations or []
    programs = [Path(folder) / "bin" / "llama-server" for folder in folders]
    return next(filter(Path.is_file, programs), None)


def llama_server_argv(
    program: Path,
    port: int,
    host: str = "127.0.0.1",
    *,
    slots: int = 1,
    context: int = CONTEXT,
    mode: str | None = None,
) -> list[str]:
    """`llama-server` on `port`; `context` is what each of its `slots` has. `mode`: "embeddings", beside chat, or
    "reranking".

    `--offline`: it asks nobody for anything. `--jinja` is its default by now; older ones need it said.
    `--chat-template`: its own Jinja cannot join a mapping, as the one inside the GGUF does; this one says the same.
    """
    argv = [
        *(str(program), "--model", str(GGUF_FILE), "--alias", ALIAS, "--host", host, "--port", str(port)),
        *("--ctx-size", str(context * slots), "--parallel", str(slots), "--threads", "1", "--threads-batch", "1"),
        *("--n-gpu-layers", "0", "--jinja", "--offline", "--log-disable"),
        *("--chat-template", tokens.CHAT_TEMPLATE.replace(_JOINED, _KEYS)),
    ]
    if mode is not None:
        argv += [f"--{mode}", "--ubatch-size", str(_EMBEDDED), "--batch-size", str(_EMBEDDED)]
    return argv


def environment() -> dict[str, str]:
    """Variables to add to the server's environment: no network, no telemetry, few threads.

    HF_HUB_CACHE: mlx_lm's /v1/models lists whatever models the user has downloaded, and closes the connection without
    an answer when there is no such folder. Our own folder exists and holds nothing else to list or load.
    """
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_CACHE": str(MLX_DIR),
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def available() -> tuple[str, ...]:
    """Which of `mlx_lm.server`, `llama_cpp.server` can be started here. Looks, but imports nothing."""
    needs = {"mlx_lm.server": ("mlx_lm", "mlx"), "llama_cpp.server": ("llama_cpp", "uvicorn", "fastapi")}
    return tuple(server for server, modules in needs.items() if all(find_spec(m) is not None for m in modules))
