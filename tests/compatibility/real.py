"""The engines that the tests have as programs, what they refuse, and how they are brought to call a tool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from engines.contract import Kind
from engines.tiny import serve
from policies.json import Object, as_str
from policies.reasons import Reason
from tests.clients.real_engine import KINDS, RealEngine, running
from tests.compatibility.grid import Surface
from tests.compatibility.stages import Behind, Fault, Real
from tests.compatibility.surfaces import TOOL, Ask
from tests.compatibility.tap import Tap

WEATHER = "What is the weather in Paris?"
_CONTEXT = 2048
_LONG = "word " * 100
"""The tiny model's template shows the last 400 letters of each of the last six messages, so it takes six."""
_OVERFLOW: Final[Mapping[Surface, Ask]] = {
    **dict.fromkeys(Surface, Ask(_LONG, before=(_LONG,) * 6)),
    **dict.fromkeys((Surface.COMPLETIONS, Surface.EMBEDDINGS, Surface.EMBED), Ask(_LONG * 30)),
    Surface.GENERATE: Ask(_LONG * 30, more={"raw": True}),
}
"""Prompts beyond the context."""
_HALF: Final = "{"
_CALL: Final[Object] = {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": _HALF}}
_WRONG: Final[Mapping[Surface, Ask]] = {
    Surface.CHAT: Ask(
        more={
            "messages": [
                {"role": "user", "content": WEATHER},
                {"role": "assistant", "content": None, "tool_calls": [_CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            ]
        }
    ),
    Surface.RESPONSES: Ask(
        more={
            "input": [
                {"role": "user", "content": WEATHER},
                {"type": "function_call", "call_id": "call_1", "name": TOOL, "arguments": _HALF},
                {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
            ]
        }
    ),
}
"""mlx-lm reads prompts of any length, and the gateway sends it no parameter that it would refuse. It does refuse calls
whose arguments are no JSON, which only two dialects can say."""


def _faults(asks: Mapping[Surface, Ask], reason: Reason) -> dict[Surface, Fault]:
    return {surface: Fault(ask, reason) for surface, ask in asks.items()}


def _llama_cpp_faults() -> dict[Surface, Fault]:
    """Texts to embed are cut."""
    faults = _faults(_OVERFLOW, Reason.CONTEXT_LENGTH_EXCEEDED)
    del faults[Surface.EMBEDDINGS], faults[Surface.EMBED]
    return faults


def _llama_server() -> RealEngine:
    program = serve.llama_server()
    assert program is not None, "make venv-dev builds it"

    def argv(port: int) -> list[str]:
        return serve.llama_server_argv(program, port, context=_CONTEXT, mode="embeddings")

    return RealEngine(Kind.LLAMA_SERVER.value, "llama-server", serve.LLAMA_SERVER_READY_PATH, argv, True, True)


def _llama_cpp() -> RealEngine:
    def argv(port: int) -> list[str]:
        return serve.llama_cpp_argv(port, embedding=True, context=_CONTEXT)

    return replace(KINDS["llama_cpp.server"], argv=argv)


_PROGRAMS: Final[Mapping[Kind, tuple[Callable[[], RealEngine], Mapping[Surface, Fault]]]] = {
    Kind.MLX_LM: (lambda: KINDS["mlx_lm.server"], _faults(_WRONG, Reason.ENGINE_REFUSED)),
    Kind.LLAMA_CPP_PYTHON: (_llama_cpp, _llama_cpp_faults()),
    Kind.LLAMA_SERVER: (_llama_server, _faults(_OVERFLOW, Reason.CONTEXT_LENGTH_EXCEEDED)),
}
REAL: Final = frozenset(_PROGRAMS)


@contextmanager
def real(kind: Kind, folder: Path) -> Iterator[tuple[Behind, Object]]:
    """The program behind a tap, and its entry for the gateway's `engines.list`."""
    program, faults = _PROGRAMS[kind]
    engine = program()
    with running(engine, folder) as entry, Tap(int(as_str(entry["url"]).rpartition(":")[2])) as tap:
        behind = Real(kind, tap, faults, engine.calls_tools, WEATHER)
        yield behind, {**entry, "url": f"http://127.0.0.1:{tap.port}"}
