"""Engines as children: real processes, killed, stopped and refused."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import psutil
import pytest

from policies.bundle import Bundle
from policies.engine import PolicyEngineDown, PolicyFault
from policies.opa.engine import ChildEngine
from policies.opa.programs import Program, embedded, opa

OPA = Path(sys.executable).parent / "opa"
MEMORY = 256 << 20
TEXT = """package gateway.authz

default allow := false

allow if input.model in data.gwcfg.models

default inside := false

inside if net.cidr_contains("10.0.0.0/8", input.ip)

decision := {"allow": allow, "in": inside} if not input.broken
"""
BUNDLE = Bundle({"access.rego": TEXT}, data={"models": ["tiny"]})
KINDS = ("embedded", "opa")


def program(kind: str) -> Program:
    return opa(OPA, memory_bytes=MEMORY) if kind == "opa" else embedded(decision_seconds=0.5, memory_bytes=MEMORY)


@asynccontextmanager
async def running(kind: str, bundle: Bundle = BUNDLE, seconds: float = 5.0) -> AsyncIterator[ChildEngine]:
    engine = ChildEngine(program(kind), bundle, timeout=seconds)
    await engine.start()
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(engine.run())
            yield engine
            keeper.cancel()
    finally:
        await engine.close()


def child_of(engine: ChildEngine) -> psutil.Process:
    """The program itself, not its leash. Other tests of this process may have engines of their own."""
    children = psutil.Process().children(recursive=True)
    lines = {child: " ".join(child.cmdline()) for child in children}
    found = [child for child, line in lines.items() if str(engine.folder) in line and "leash.py" not in line]
    assert len(found) == 1, lines
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
async def test_it_decides(kind: str) -> None:
    async with running(kind) as engine:
        assert (engine.kind, engine.revision) == (kind, BUNDLE.revision)
        assert await engine.evaluate(b'{"model":"tiny","ip":"10.1.1.1"}') == {"allow": True, "in": True}
        assert await engine.evaluate(b'{"model":"other","ip":"11.1.1.1"}') == {"allow": False, "in": False}


@pytest.mark.parametrize("kind", KINDS)
async def test_undefined_and_failing_builtins_are_faults(kind: str) -> None:
    async with running(kind) as engine:
        with pytest.raises(PolicyFault, match="undefined"):
            await engine.evaluate(b'{"broken":true,"model":"tiny","ip":"10.1.1.1"}')
        with pytest.raises(PolicyFault):
            await engine.evaluate(b'{"model":"tiny","ip":"zz"}')
        assert await engine.evaluate(b'{"model":"tiny","ip":"10.1.1.1"}') == {"allow": True, "in": True}


@pytest.mark.parametrize("kind", KINDS)
async def test_many_at_once_get_their_own_answers(kind: str) -> None:
    async with running(kind) as engine:

        async def one(number: int) -> bool:
            model = "tiny" if number % 3 else "other"
            answer = await engine.evaluate(orjson.dumps({"model": model, "ip": "10.0.0.1"}))
            return isinstance(answer, dict) and answer["allow"] is (model == "tiny")

        assert all(await asyncio.gather(*(one(number) for number in range(200))))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_one_is_started_again_each_time(kind: str) -> None:
    async with running(kind) as engine:
        for restart in (1, 2):
            child_of(engine).send_signal(signal.SIGKILL)
            async with asyncio.timeout(20):
                while engine.restarts < restart or not await answers(engine):
                    await asyncio.sleep(0)


async def answers(engine: ChildEngine) -> bool:
    try:
        return await engine.evaluate(b'{"model":"tiny","ip":"10.0.0.1"}') is not None
    except PolicyEngineDown:
        await asyncio.sleep(0)
        return False


@pytest.mark.parametrize("kind", KINDS)
async def test_a_silent_one_is_replaced(kind: str) -> None:
    async with running(kind, seconds=0.3) as engine:
        before = child_of(engine).pid
        assert engine.ready
        child_of(engine).send_signal(signal.SIGSTOP)
        async with asyncio.timeout(20):
            while child_of(engine).status() != psutil.STATUS_STOPPED:  # all its threads; it may answer until then
                await asyncio.sleep(0)
        with pytest.raises(PolicyEngineDown, match="no answer"):
            await engine.evaluate(b"{}")
        async with asyncio.timeout(20):
            while not await answers(engine):
                pass
        assert child_of(engine).pid != before


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_that_does_not_load_is_no_engine(kind: str) -> None:
    engine = ChildEngine(program(kind), Bundle({"a.rego": "package gateway.authz\n\nx := := 1\n"}), timeout=1.0)
    with pytest.raises(PolicyEngineDown, match=r"a\.rego:3"):
        await engine.start()


async def test_a_program_that_is_not_there_is_no_engine() -> None:
    engine = ChildEngine(opa(Path("/nonexistent/opa"), memory_bytes=MEMORY), BUNDLE, timeout=1.0)
    with pytest.raises(PolicyEngineDown):
        await engine.start()


async def test_a_closed_one_says_no_and_leaves_nothing_behind() -> None:
    async with running("embedded") as engine:
        folder = engine.folder
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    with pytest.raises(PolicyEngineDown):
        await engine.evaluate(b"{}")


async def test_what_a_killed_gateway_left_behind_is_swept_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("policies.opa.engine._LONG", 10_000)
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await gone.wait()
    stale, alive = tmp_path / f"llmgw-{gone.pid}-abc", tmp_path / f"llmgw-{os.getpid()}-abc"
    for folder in (stale, alive, tmp_path / "llmgw-other"):
        folder.mkdir()
    engine = ChildEngine(program("embedded"), BUNDLE, timeout=1.0)
    assert not stale.exists()
    assert alive.exists()
    assert (tmp_path / "llmgw-other").exists()
    await engine.close()
    assert not engine.folder.exists()


async def test_our_environment_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    for kind in KINDS:
        async with running(kind) as engine:
            assert "A_SECRET" not in child_of(engine).environ()


async def test_more_questions_than_connections_are_all_answered_when_it_closes() -> None:
    engine = ChildEngine(program("embedded"), BUNDLE, timeout=5.0)
    await engine.start()
    child_of(engine).suspend()

    async def ask() -> None:
        with pytest.raises(PolicyEngineDown):
            await engine.evaluate(b"{}")

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask()) for _ in range(80)]
        while engine.under_way < len(asked):
            await asyncio.sleep(0)
        for _ in range(100):  # until those who got no connection stand in line for one
            await asyncio.sleep(0)
        await engine.close()
    assert not any(task.cancelled() for task in asked)
