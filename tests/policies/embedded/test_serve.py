"""The served engine from outside: a real child on a real socket."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

from policies.engine import PolicyEngineDown, PolicyFault
from tests.policies.embedded.policies_for_tests import HEAD, PLAIN, ROOT, allowing, question, served, start

LOOP = allowing("count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a == b]) > input.n")
BOMB = allowing('count(concat("", [sprintf("%s%d", [input.s, a]) | some a in numbers.range(1, 100000)])) > 1')
ENDLESS = HEAD + 'f(x) := f([x]) if input.go\n\ndecision := {"allow": f(1)}\n'


async def raw(path: Path, data: bytes) -> bytes:
    """What the server says to `data` until it closes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def post(body: bytes, target: str = "/v1/data/gateway/authz/decision?strict-builtin-errors=true") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: opa\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def status_and_body(answer: bytes) -> tuple[int, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), orjson.loads(body)


async def test_decides_over_the_gateways_own_client(tmp_path: Path) -> None:
    async with served(tmp_path) as engine:
        yes, no = await engine.api.evaluate(question()), await engine.api.evaluate(question("other"))
        assert isinstance(yes, dict)
        assert isinstance(no, dict)
        assert (yes["allow"], no["allow"]) == (True, False)


async def test_many_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    async with served(tmp_path, HEAD + 'decision := {"allow": false, "revision": input.id}\n') as engine:
        documents = [orjson.dumps({"id": f"r{number}"}) for number in range(200)]
        answers = await asyncio.gather(*(engine.api.evaluate(document) for document in documents))
        assert [answer["revision"] for answer in answers if isinstance(answer, dict)] == [f"r{n}" for n in range(200)]


@pytest.mark.parametrize(
    "name",
    [
        'x"], "allow": true, "z":["',
        "qwen\0-evil",
        "a\nb\r\n\r\nGET /",
        "n" * 10_240,
        "é\u2028😀",
        "<undefined>",
        "\\u0000",
    ],
)
async def test_odd_names_are_plain_strings(tmp_path: Path, name: str) -> None:
    text = allowing("input.model.resolved == input.caller.id", "") + "\n"
    async with served(tmp_path, text) as engine:
        same, other = await engine.api.evaluate(question(name, name)), await engine.api.evaluate(question(name, "qwen"))
        assert same == {"allow": True}
        assert other == {"allow": False}


async def test_undefined_is_no_result(tmp_path: Path) -> None:
    for folder, value in (("a", "1 if false"), ("b", '"<undefined>"')):
        (tmp_path / folder).mkdir()
        async with served(tmp_path / folder, f"{HEAD}decision := {value}\n") as engine:
            assert status_and_body(await raw(engine.path, post(b'{"input":{}}'))) == (200, {})
            with pytest.raises(PolicyFault, match="undefined"):
                await engine.api.evaluate(b"{}")


async def test_a_failing_builtin_is_an_error_with_its_place(tmp_path: Path) -> None:
    text = HEAD + 'decision := {"allow": allow}\n\nallow if {\n\tnot net.cidr_contains("10.0.0.0/8", input.ip)\n}\n'
    async with served(tmp_path, text) as engine:
        for target in ("", "?strict-builtin-errors=true"):
            answer = await raw(engine.path, post(b'{"input":{"ip":"zz"}}', "/v1/data/gateway/authz/decision" + target))
            status, body = status_and_body(answer)
            assert status == 500
            assert isinstance(body, dict)
            assert body["code"] == "internal_error"
            assert body["errors"][0]["location"] == {"file": "access.rego", "row": 6, "col": 23}
        with pytest.raises(PolicyFault, match=r"access.rego:6: .*zz"):
            await engine.api.evaluate(b'{"ip":"zz"}')
        assert await engine.api.healthy(5)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"input":{},"x":1}', b'{"input":NaN}', b'{"input":"\xff"}']
)
async def test_a_body_that_is_no_question_is_400(tmp_path: Path, body: bytes) -> None:
    async with served(tmp_path) as engine:
        status, answer = status_and_body(await raw(engine.path, post(body)))
        assert status == 400
        assert isinstance(answer, dict)
        assert answer["code"] == "invalid_parameter"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/data", 404),
        ("/v1/data/gateway/authz", 404),
        ("/", 404),
        ("/v1/data/gateway/authz/decision?explain=full", 400),
    ],
)
async def test_only_the_decision_can_be_asked_for(tmp_path: Path, target: str, status: int) -> None:
    async with served(tmp_path) as engine:
        assert status_and_body(await raw(engine.path, post(b'{"input":{}}', target)))[0] == status


async def test_who_asks_a_lot_and_reads_late_gets_every_answer(tmp_path: Path) -> None:
    """Answers of 100 KiB do not fit into the socket: the rest waits for whoever reads, and the others do not."""
    long = 'concat("", [sprintf("%d", [n]) | some n in numbers.range(1, 20000)])'
    text = f'{HEAD}decision := {{"allow": false, "id": input.id, "long": {long}}}\n'
    async with served(tmp_path, text, decision_seconds=5) as engine:
        asked = [post(b'{"input":{"id":%d}}' % number).replace(b"close", b"keep-alive") for number in range(19)]
        reader, writer = await asyncio.open_unix_connection(str(engine.path), limit=1 << 22)
        try:
            writer.write(b"".join(asked) + post(b'{"input":{"id":19}}'))
            assert await engine.api.healthy(10)  # another connection is heard meanwhile
            async with asyncio.timeout(10):
                said = await reader.read()
        finally:
            writer.close()
        assert [int(part.partition(b",")[0]) for part in said.split(b'"id":')[1:]] == list(range(20))


async def test_more_connections_than_it_takes_are_closed_and_the_others_served(tmp_path: Path) -> None:
    async with served(tmp_path) as engine, AsyncExitStack() as stack:
        answered = [await well(engine.path, stack) for _ in range(80)]
        assert sum(answered) in {63, 64}  # one may be the client's own
        assert answered == sorted(answered, reverse=True)


async def well(path: Path, stack: AsyncExitStack) -> bool:
    """Whether a new connection, which stays open with `stack`, is answered."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    stack.callback(writer.close)
    async with asyncio.timeout(10):
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: opa\r\n\r\n")
            return (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")
        except (ConnectionError, asyncio.IncompleteReadError):
            return False


def test_the_program_is_small() -> None:
    """It counts among the gateway's memory, and a start waits for it: asyncio and OpenSSL would take 12 MB."""
    code = "import sys, policies.embedded.rego, policies.embedded.server; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"asyncio", "ssl", "hashlib", "logging", "subprocess"} & {*done.stdout.split()}


async def test_it_asks_for_no_huge_pages(tmp_path: Path) -> None:
    async with served(tmp_path) as engine:
        if sys.platform == "linux":
            status = await asyncio.to_thread(Path(f"/proc/{engine.process.pid}/status").read_text)
            assert "THP_enabled:\t0" in status


async def test_the_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as engine:
        assert stat.S_IMODE(engine.path.stat().st_mode) == 0o600


async def test_exits_when_its_parent_is_gone(tmp_path: Path) -> None:
    async with served(tmp_path) as engine:
        assert engine.process.stdin is not None
        engine.process.stdin.close()
        assert await engine.exit_code() == 0
        assert not engine.path.exists()


async def test_exits_on_sigterm(tmp_path: Path) -> None:
    async with served(tmp_path) as engine:
        engine.process.terminate()
        assert await engine.exit_code() == 0
        assert not engine.path.exists()


async def test_kill_9_leaves_a_socket_that_the_next_one_replaces(tmp_path: Path) -> None:
    async with served(tmp_path) as engine:
        engine.process.kill()
        assert await engine.exit_code() == -signal.SIGKILL
        assert engine.path.exists()
        with pytest.raises(PolicyEngineDown):
            await engine.api.evaluate(question())
    async with served(tmp_path) as engine:
        assert await engine.api.evaluate(question("other")) is not None


async def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "engine.sock").write_text("precious")
    engine = await start(tmp_path, PLAIN)
    _, errors = await engine.process.communicate()
    await engine.api.close()
    assert engine.process.returncode == 2
    assert b"engine.sock" in errors
    assert (tmp_path / "engine.sock").read_text() == "precious"


async def test_a_decision_that_takes_too_long_ends_the_process(tmp_path: Path) -> None:
    async with served(tmp_path, LOOP, decision_seconds=0.2) as engine:
        with pytest.raises(PolicyEngineDown):
            await engine.api.evaluate(b'{"n":1}')
        assert await engine.exit_code() == -signal.SIGPROF


async def test_recursion_without_end_ends_only_the_child(tmp_path: Path) -> None:
    async with served(tmp_path, ENDLESS, decision_seconds=10) as engine:
        with pytest.raises(PolicyEngineDown):
            await engine.api.evaluate(b'{"go":true}')
        assert await engine.exit_code() in {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT}


async def test_a_panic_ends_the_process(tmp_path: Path) -> None:
    """`window size must be non-zero`: a real panic of regorus 0.13."""
    async with served(tmp_path, HEAD + 'decision := {"allow": object.subset([1], input.x)}\n') as engine:
        with pytest.raises(PolicyEngineDown):
            await engine.api.evaluate(b'{"x":[]}')
        assert await engine.exit_code() == 70


async def test_allocation_without_end_ends_the_process(tmp_path: Path) -> None:
    """By the limit of memory on Linux; macOS does not enforce that, and the limit of time ends it."""
    engine = await start(tmp_path, BOMB, decision_seconds=5, memory=300 << 20)
    try:
        await engine.ready()
        with pytest.raises(PolicyEngineDown):
            await engine.api.evaluate(orjson.dumps({"s": "x" * 500_000}))
        assert await engine.exit_code() != 0
    finally:
        await engine.api.close()
        await engine.process.communicate()


async def test_a_nested_repetition_is_linear(tmp_path: Path) -> None:
    async with served(tmp_path, allowing('regex.match("^(a+)+$", input.s)'), decision_seconds=0.2) as engine:
        assert await engine.api.evaluate(orjson.dumps({"s": "a" * 10_000 + "!"})) == {"allow": False}


@pytest.mark.parametrize(
    "call",
    ['http.send({"method": "get", "url": input.u})', "opa.runtime()", 'net.lookup_ip_addr("x")', 'http["send"](input)'],
)
async def test_what_reaches_out_does_not_load(tmp_path: Path, call: str) -> None:
    engine = await start(tmp_path, f'{HEAD}decision := {{"allow": {call}}}\n')
    _, errors = await engine.process.communicate()
    await engine.api.close()
    assert engine.process.returncode == 1
    assert b"refused" in errors


async def test_what_hides_its_name_fails_when_called(tmp_path: Path) -> None:
    async with served(
        tmp_path, HEAD + 'decision := {"allow": http["s\\u0065nd"]({"url": "http://127.0.0.1/"})}\n'
    ) as engine:
        with pytest.raises(PolicyFault):
            await engine.api.evaluate(b"{}")


async def test_a_broken_policy_says_where(tmp_path: Path) -> None:
    engine = await start(tmp_path, HEAD + 'decision := {\n\t"allow": ,\n}\n')
    _, errors = await engine.process.communicate()
    await engine.api.close()
    assert engine.process.returncode == 1
    assert b"access.rego:4:11: " in errors


async def test_needs_a_pipe_to_its_parent(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policies.embedded", "serve", "--addr", "unix:///nowhere", "--bundle", "none"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"standard input must be a pipe" in errors
