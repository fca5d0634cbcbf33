"""Small policies, inputs and a served engine for the tests of the embedded engine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson

from policies.bundle import Bundle
from policies.embedded.findings import ScratchLimits
from policies.json import Object
from policies.opa.api import DataApi, Place

ROOT: Final = Path(__file__).parents[3]
OPA: Final = Path(sys.executable).parent / "opa"
HEAD: Final = "package gateway.authz\n\n"
DENY: Final = '{"allow": false, "reasons": [], "obligations": {}, "grants": [], "revision": ""}'
SHORT: Final = ScratchLimits(seconds=30.0, decision_seconds=1.0)

PLAIN: Final = """package gateway.authz

decision := {"allow": allow, "reasons": [], "obligations": {}, "grants": [], "revision": ""}

default allow := false

allow if {
	input.v == 1
	input.caller.id == "ann"
	input.model.resolved in data.gwcfg.models
}
"""
DATA: Final[Object] = {"models": ["qwen"]}


def bundle(text: str = PLAIN, tests: str = "", **more: str) -> Bundle:
    """A bundle of `access.rego`, and of further files by name."""
    modules = {"access.rego": text, **{f"{name}.rego": other for name, other in more.items()}}
    return Bundle(modules, {"access_test.rego": tests} if tests else {}, DATA)


def allowing(condition: str, more: str = "") -> str:
    """A policy that allows if `condition`."""
    return f'{HEAD}decision := {{"allow": allow}}\n\ndefault allow := false\n\nallow if {{\n\t{condition}\n}}\n{more}'


def question(model: str = "qwen", caller: str = "ann") -> bytes:
    return orjson.dumps({"v": 1, "caller": {"id": caller}, "model": {"resolved": model}})


class Served:
    """A running `serve`, and a client of it."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path) -> None:
        self.process = process
        self.path = path
        self.api = DataApi(Place(f"unix://{path}"), timeout=10)

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            while not await self.api.healthy(1.0):
                assert self.process.returncode is None, "it ended at start"
                await asyncio.sleep(0.005)

    async def exit_code(self) -> int:
        async with asyncio.timeout(20):
            return await self.process.wait()


async def start(folder: Path, text: str, *, decision_seconds: float = 1.0, memory: int = 512 << 20) -> Served:
    """Start `serve`; it need not be ready yet, nor ever become so."""
    file, path = folder / "bundle.json", folder / "engine.sock"
    file.write_bytes(orjson.dumps({"modules": {"access.rego": text}, "data": DATA}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policies.embedded", "serve", "--addr", f"unix://{path}", "--bundle", str(file)),
        *("--decision-seconds", str(decision_seconds), "--memory-bytes", str(memory)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={"PATH": os.environ.get("PATH", "")},
    )
    return Served(process, path)


@asynccontextmanager
async def served(folder: Path, text: str = PLAIN, *, decision_seconds: float = 1.0) -> AsyncIterator[Served]:
    """A served policy that answers."""
    engine = await start(folder, text, decision_seconds=decision_seconds)
    try:
        await engine.ready()
        yield engine
    finally:
        await engine.api.close()
        if engine.process.returncode is None:
            engine.process.kill()
        await engine.process.communicate()
