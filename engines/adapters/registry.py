"""Kind -> adapter. Adapters have no state, so one of each serves everybody."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engines.adapters.docker_model_runner import DockerModelRunner
from engines.adapters.llama_cpp_python import LlamaCppPython
from engines.adapters.llama_server import LlamaServer
from engines.adapters.lm_studio import LmStudio
from engines.adapters.mlx_lm import MlxLm
from engines.adapters.ollama import Ollama
from engines.adapters.openai import OpenAI
from engines.adapters.openai_shape import OpenAIShape
from engines.adapters.vllm import Vllm
from engines.contract import Adapter, Kind

ADAPTERS: Final[Mapping[Kind, OpenAIShape]] = MappingProxyType(
    {
        adapter.kind: adapter
        for adapter in (
            OpenAI(),
            DockerModelRunner(),
            LlamaServer(),
            LlamaCppPython(),
            MlxLm(),
            Vllm(),
            Ollama(),
            LmStudio(),
        )
    }
)


def adapter_for(kind: Kind) -> OpenAIShape:
    """The adapter of `kind`; every kind has one."""
    return ADAPTERS[kind]


_guard: Adapter = ADAPTERS[Kind.OPENAI]  # mypy: the shape implements the contract
