"""The tables of docs/fields.md, found by asking the code: `python -m tests.edge.dialects.fields` writes them anew.

Every field that a dialect's spec knows is sent through intake alone, and what of it arrives in the internal form is
what stands in the table; every parameter of the internal form is shown to each kind of engine in the same way. A field
without a sample here is an error, so that a new one is thought about.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from edge.dialects.registry import rendering_of
from edge.intake import ollama_params
from edge.intake.anthropic_params import MESSAGES_SPEC
from edge.intake.fields import Record
from edge.intake.intake import read_call
from edge.intake.openai_params import SPECS
from edge.intake.responses_params import RESPONSES_SPEC
from edge.intake.routes import Routes
from edge.relay.finishes import FINISHES, finished
from engines.adapters.registry import ADAPTERS
from engines.contract import Kind
from policies.call import Call, Dialect, Form, Operation
from policies.errors import EngineBroke, Refusal
from policies.json import JSON, Object, as_object
from tests.edge.dialects.test_timing import timing
from tests.edge.intake import samples
from tests.engines.adapters.calls import built, chat

PAGE: Final = Path(__file__).parents[3] / "docs" / "fields.md"
_BLOCK: Final = re.compile(r"<!-- table: ([a-z ]+) -->\n.*?<!-- end -->", re.DOTALL)
_USER: Final[Object] = {"role": "user", "content": "hi"}
_TOOL: Final = samples.TOOL
_SCHEMA: Final[Object] = {"type": "object"}


class Route(NamedTuple):
    """A route, its spec, its least request, and a value for each of its fields."""

    path: str
    spec: Record
    least: Object
    values: Object
    inner: tuple[str, ...] = ()
    """Members that are objects whose own members are the fields."""


def _ollama(operation: Operation, form: Form = Form.ONLY) -> Record:
    return ollama_params.SPECS[operation, form]


_OPTIONS: Final[Object] = {
    "num_predict": 9,
    **{
        name: samples.SAMPLING[name]
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "repeat_penalty")
    },
    **{
        name: samples.SAMPLING[name]
        for name in ("repeat_last_n", "seed", "stop", "presence_penalty", "frequency_penalty")
    },
}
_OLLAMA: Final[Object] = {
    "stream": False,
    "format": "json",
    "options": _OPTIONS,
    "think": "low",
    "logprobs": True,
    "top_logprobs": 2,
    "keep_alive": "5m",
    "images": ["iVBORw0KGgo="],
    "tools": [_TOOL],
    "system": "be kind",
    "suffix": "z",
    "raw": True,
}
ROUTES: Final = {
    "openai chat": Route(
        "/v1/chat/completions",
        SPECS[Operation.CHAT],
        {"model": "m", "messages": [_USER]},
        samples.CHAT,
        ("stream_options",),
    ),
    "openai completions": Route(
        "/v1/completions", SPECS[Operation.COMPLETIONS], {"model": "m", "prompt": "a"}, samples.COMPLETIONS
    ),
    "openai embeddings": Route(
        "/v1/embeddings", SPECS[Operation.EMBEDDINGS], {"model": "m", "input": "a"}, samples.EMBEDDINGS
    ),
    "anthropic": Route(
        "/v1/messages",
        MESSAGES_SPEC,
        {"model": "m", "max_tokens": 9, "messages": [_USER]},
        {
            "system": "be kind",
            "tools": [{"name": "f", "input_schema": _SCHEMA}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _SCHEMA}},
            "stream": True,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_k": 5,
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u"},
        },
    ),
    "responses": Route(
        "/v1/responses",
        RESPONSES_SPEC,
        {"model": "m", "input": "hi"},
        {
            "instructions": "be kind",
            "previous_response_id": "resp_" + "0" * 32,
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_object"}},
            "conversation": "c",
            "prompt": {"id": "p"},
            "max_output_tokens": 9,
            "stream": True,
            "store": False,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_logprobs": 2,
            "include": ["message.output_text.logprobs"],
            "metadata": {"a": "b"},
            "user": "u",
            "background": True,
        },
    ),
    "ollama chat": Route(
        "/api/chat", _ollama(Operation.CHAT), {"model": "m", "messages": [_USER]}, _OLLAMA, ("options",)
    ),
    "ollama generate": Route(
        "/api/generate", _ollama(Operation.CHAT, Form.GENERATE), {"model": "m", "prompt": "hi"}, _OLLAMA, ("options",)
    ),
    "ollama embed": Route(
        "/api/embed", _ollama(Operation.EMBEDDINGS), {"model": "m", "input": "hi"}, {"dimensions": 8}
    ),
}

SEEN: Final[dict[str, tuple[str, Object]]] = {
    "Claude Code": (
        "anthropic",
        {
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "medium"},
            "context_management": {"edits": []},
            "metadata": {"user_id": '{"device_id":"d"}'},
            "messages": [{"role": "system", "content": "s"}, _USER],
        },
    ),
    "Codex": (
        "responses",
        {
            "input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]}],
            "tools": [{"type": "namespace", "name": "n", "tools": []}, {"type": "web_search"}],
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "k",
            "client_metadata": {"a": "b"},
        },
    ),
    "opencode, LangChain, `llm`": ("openai chat", {"stream_options": {"include_usage": True}}),
    "OpenAI's packages": ("openai embeddings", {"encoding_format": "base64"}),
    "guidellm, vLLM's benchmarks": (
        "openai chat",
        {"ignore_eos": True, "min_tokens": 5, "stream_options": {"continuous_usage_stats": True}},
    ),
    "Open WebUI, Continue": ("ollama chat", {"options": {"num_ctx": 8192}, "keep_alive": "5m", "think": True}),
    "ollama-python": ("ollama chat", {"tools": []}),
}
"""What real clients were seen to send (facts/clients.md) beside what all do: client -> route, its fields."""

DROPPED: Final = "dropped and named"
SAME: Final = "the same"
_NOT_SENT: Final = "not for engines"
_NEEDED: Final = {"model": "the engine's own name for it", "max_tokens": "`max_tokens`"}
_TWO: Final[list[JSON]] = [_TOOL, {"type": "function", "function": {"name": "g"}}]
_KINDS: Final = (
    Kind.LLAMA_SERVER,
    Kind.LLAMA_CPP_PYTHON,
    Kind.MLX_LM,
    Kind.VLLM,
    Kind.OLLAMA,
    Kind.LM_STUDIO,
    Kind.DOCKER_MODEL_RUNNER,
    Kind.OPENAI,
)


def becomes(route: Route, name: str, value: JSON, within: str = "") -> str:
    """What becomes of one field."""
    given: Object = {within: {name: value}} if within else {name: value}
    more: Object = {"tools": route.values["tools"]} if name in {"tool_choice", "parallel_tool_calls"} else {}
    more |= {"stream": True} if within == "stream_options" else {}
    more |= {"logprobs": True} if name == "top_logprobs" else {}
    before = _read(route, more)
    try:
        after = _read(route, more | given)
    except Refusal as refusal:
        return f"refused: {refusal.hint}"
    if after.ignored != before.ignored:
        return DROPPED
    if after.operation is not before.operation:
        return "the engine's completions"
    gone = [key for key in ("stream", "include_usage") if getattr(after, key) != getattr(before, key)]
    new = [key for key, item in after.body.items() if before.body.get(key) != item]
    found = new or gone
    if not found:
        return _NOT_SENT
    return ", ".join(f"`{key}`" for key in found) if found != [name] or within else SAME


def _read(route: Route, more: Mapping[str, JSON]) -> Call:
    found = Routes().match("POST", route.path)
    assert found is not None
    return read_call(found, {**route.least, **more})


def _names(route: Route) -> Iterator[tuple[str, str, JSON]]:
    """Each field that goes on: the object it stands in ("": none), its name, a value."""
    for name, kind in route.spec.fields().items():
        if name in route.inner:
            assert isinstance(kind, Record)
            yield from ((name, each, as_object(route.values[name])[each]) for each in kind.fields())
        elif name not in route.least:
            yield "", name, route.values[name]


def _dropped(route: Route) -> list[str]:
    outer = [name for name in route.spec.names if name not in route.spec.fields()]
    for name in route.inner:
        kind = route.spec.fields()[name]
        assert isinstance(kind, Record)
        outer += [f"{name}.{each}" for each in kind.names if each not in kind.fields()]
    return sorted(outer)


def of_route(route: Route) -> Iterator[str]:
    """The fields of a route, and those that are dropped."""
    yield "| field | becomes |"
    yield "|---|---|"
    for name in route.least:
        yield f"| `{name}` | {_NEEDED.get(name, 'what is asked')} |"
    same: list[str] = []
    for within, name, value in _names(route):
        shown = f"`{within + '.' if within else ''}{name}`"
        if (found := becomes(route, name, value, within)) == SAME:
            same.append(shown)
        else:
            yield f"| {shown} | {found} |"
    if same:
        yield f"| {', '.join(same)} | {SAME} |"
    if dropped := _dropped(route):
        yield f"| {', '.join(f'`{name}`' for name in dropped)} | {DROPPED} |"


def _engine_cell(kind: Kind, name: str, value: JSON) -> str:
    more: dict[str, JSON] = {"tools": _TWO} if name in {"tool_choice", "parallel_tool_calls"} else {}
    before = built(kind, chat(None, **more))
    try:
        after = built(kind, chat(None, **more, **{name: value}))
    except Refusal:
        return "400"
    if name in ADAPTERS[kind].left_out(chat(None, **more, **{name: value})):
        return "-"
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if changed == [name]:
        return "yes" if after[name] == value else f"`{after[name]}`"
    return " ".join(f"`{key}`" for key in changed) or "here"


def of_engines() -> Iterator[str]:
    """Each parameter of a chat, at each kind of engine."""
    yield "| parameter | " + " | ".join(kind.value for kind in _KINDS) + " |"
    yield "|---" * (len(_KINDS) + 1) + "|"
    values = {name: samples.CHAT[name] for name in SPECS[Operation.CHAT].fields() if name not in _SKIPPED}
    rows: list[tuple[str, str, JSON]] = [(f"`{name}`", name, value) for name, value in values.items()]
    rows += [(f"`{name}: {value}`", name, value) for name, several in _WORDS.items() for value in several]
    for shown, name, value in sorted(rows, key=lambda row: row[1]):
        yield f"| {shown} | " + " | ".join(_engine_cell(kind, name, value) for kind in _KINDS) + " |"


_WORDS: Final[Mapping[str, tuple[JSON, ...]]] = {
    "reasoning_effort": ("none", "minimal", "low", "max"),
    "tool_choice": ("none", "required"),
}
_SKIPPED: Final = {"model", "messages", "stream", "stream_options", "reasoning_effort"}


def of_clients() -> Iterator[str]:
    """What real clients send beside what all do."""
    yield "| client | field | becomes |"
    yield "|---|---|---|"
    for client, (name, fields) in SEEN.items():
        for field, value in fields.items():
            route = ROUTES[name]
            if field in route.inner:
                for each, inner in as_object(value).items():
                    yield f"| {client} | `{field}.{each}` | {becomes(route, each, inner, field)} |"
            else:
                yield f"| {client} | `{field}` | {becomes(route, field, value)} |"


def of_finishes() -> Iterator[str]:
    """Why an answer ended, in each dialect."""
    yield "| OpenAI | Anthropic `stop_reason` | Responses `status` | Ollama `done_reason` |"
    yield "|---|---|---|---|"
    for finish in ("stop", "length", "tool_calls", "function_call", "content_filter"):
        assert finish in FINISHES
        yield f"| `{finish}` | " + " | ".join(_ended(dialect, finish) for dialect in _OTHERS) + " |"
    yield (
        "| `stop` at one of the caller's | " + " | ".join(_ended(dialect, "stop", "END") for dialect in _OTHERS) + " |"
    )


_OTHERS: Final = (Dialect.ANTHROPIC, Dialect.RESPONSES, Dialect.OLLAMA)


def _ended(dialect: Dialect, finish: str, sequence: str | None = None) -> str:
    rendering = rendering_of(Call(Operation.CHAT, dialect, "m"), "f" * 32, timing())
    choice: Object = {"index": 0, "message": {"content": "a"}, "finish_reason": finish, "stop_reason": sequence}
    answer = rendering.whole({"choices": [choice]})
    if dialect is Dialect.RESPONSES:
        why = as_object(answer["incomplete_details"]).get("reason")
        return f"`{answer['status']}`" + (f", `{why}`" if why else "")
    return f"`{answer['stop_reason' if dialect is Dialect.ANTHROPIC else 'done_reason']}`"


_WORDS_OF_ENGINES: Final = (
    ("`stop`, `eos`, `eos_token`, `stop_sequence`, any other word", "eos"),
    ("the same behind a call of a tool", ""),
    ("`length`, `max_tokens`, `max_length`, `model_length`", "max_length"),
    ("`tool_calls`, `tool_call`, `tool_use`", "tool_use"),
    ("`content_filter`, `safety`", "safety"),
    ("`abort`, `aborted`, `cancelled`, `error`", "abort"),
)


def of_words() -> Iterator[str]:
    """What engines call an ending."""
    yield "| the engine says | it is |"
    yield "|---|---|"
    for shown, word in _WORDS_OF_ENGINES:
        try:
            meant = f"`{finished(word or 'stop', called=not word)}`"
        except EngineBroke:
            meant = "no answer: an error, or an `error` event"
        yield f"| {shown} | {meant} |"


def tables() -> dict[str, Iterable[str]]:
    """Name -> lines."""
    routes = {name: of_route(route) for name, route in ROUTES.items()}
    return {
        **routes,
        "engines": of_engines(),
        "clients": of_clients(),
        "finishes": of_finishes(),
        "words": of_words(),
    }


def filled(page: str) -> str:
    """`page` with its tables as they are now."""
    found = tables()
    return _BLOCK.sub(
        lambda match: f"<!-- table: {match[1]} -->\n" + "\n".join(found[match[1]]) + "\n<!-- end -->", page
    )


def named(page: str) -> list[str]:
    """The tables that `page` has."""
    return [match[1] for match in _BLOCK.finditer(page)]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
