"""Streams in each dialect of callers, from an engine that speaks OpenAI's: 200 at once, 50 tokens a second."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import origin, samples
from tests.benchmarks.contenders import field
from tests.benchmarks.load import CHAT
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.workloads.streamed import Listening

STREAMS: Final = 200
DIALECTS: Final = ("openai", "anthropic", "responses", "ollama")


def measure(plan: Plan, folder: Path) -> Object:
    """A row per dialect, of the gateway; nobody else translates on the way."""
    rows: list[JSON] = []
    notes: list[JSON] = []
    with origin.running(origin.Pace.EXACT) as port, field(folder, port) as found:
        gateway = [contender for contender in found.contenders if contender.name == "gateway"]
        for dialect in DIALECTS:
            listening = _listening(dialect, plan)
            rows += samples.rows(interleaved(gateway, plan.rounds, listening), {"dialect": dialect})
            notes += [f"{dialect}: {what}" for what in listening.problems.values()]
    return {"rows": rows, "notes": notes}


def _listening(dialect: str, plan: Plan) -> Listening:
    tokens = max(1, round(plan.warm * origin.RATE))
    match dialect:
        case "anthropic":
            return Listening(plan, STREAMS, path="/v1/messages", members={"messages": _ASKED})
        case "responses":
            members: Object = {"input": "Say hello.", "max_output_tokens": tokens, "store": False}
            return Listening(plan, STREAMS, path="/v1/responses", members=members, drop=("messages", "max_tokens"))
        case "ollama":
            options: Object = {"num_predict": tokens}
            drop = ("max_tokens", "temperature")
            return Listening(plan, STREAMS, path="/api/chat", members={"options": options}, drop=drop)
        case _:
            return Listening(plan, STREAMS, path=CHAT)


_ASKED: Final[JSON] = [{"role": "user", "content": "Say hello, and nothing else, please."}]
