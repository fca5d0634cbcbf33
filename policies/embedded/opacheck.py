"""What `opa check --strict` says, as problems like our own."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from policies.embedded.findings import Problem, ScratchLimits
from policies.json import JSON, Object, as_list, as_object, as_str

_MOST: Final = "1000"


async def opa_check(opa: Path, texts: Mapping[str, str], limits: ScratchLimits) -> list[Problem]:
    """The problems that `opa` finds in `texts`. TimeoutError; OSError if it cannot be run.

    Go reserves more address space than it uses, so memory is limited by its own garbage collector, softly.
    """
    with tempfile.TemporaryDirectory(prefix="llm-gateway-check-") as folder:
        command = _prepare(opa, Path(folder), texts)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={"GOMEMLIMIT": str(limits.memory_bytes), "GOMAXPROCS": "2", "HOME": folder},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(limits.seconds):
                stdout, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    return _read(stdout + stderr) if process.returncode else []


def _prepare(opa: Path, folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Write the files; the command that checks them from there."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return [str(opa.absolute()), "check", "--strict", "--format", "json", "--max-errors", _MOST, "."]


def _read(output: bytes) -> list[Problem]:
    try:
        report: JSON = orjson.loads(output)
    except orjson.JSONDecodeError:
        text = output.decode(errors="replace").strip()[:300]
        return [Problem("", 0, 0, "opa_check", text or "opa check failed", "error")]
    return [_problem(as_object(item)) for item in as_list(as_object(report).get("errors"))]


def _problem(item: Object) -> Problem:
    place = as_object(item.get("location"))
    row, column = place.get("row"), place.get("col")
    message = as_str(item.get("message"))
    return Problem(
        as_str(place.get("file")).removeprefix("./"),
        row if isinstance(row, int) else 0,
        column if isinstance(column, int) else 0,
        as_str(item.get("code")) or "opa_check",
        message,
        # Strict mode also minds what is merely not used.
        "warning" if "unused" in message else "error",
    )
