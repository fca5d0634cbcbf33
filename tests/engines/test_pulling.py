"""Having an engine fetch a model: what is asked, how far it is, and every way it can fail."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Pulled, UpstreamRequest
from engines.pulling import MISSING, PullRefused, Tally, can_pull, fetch, pull
from engines.transport import HttpTransport
from policies.errors import EngineBroke
from policies.json import JSON, Object
from tests.engines.loopback import always, reply, serving


def lines(*documents: JSON) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def layer(name: str, current: int, size: int, total: int) -> Object:
    """Docker Model Runner's line (facts 1.3)."""
    return {"type": "progress", "total": total, "layer": {"id": name, "size": size, "current": current}, "mode": "pull"}


async def percents(transport: HttpTransport, kind: Kind, body: bytes, status: str = "200 OK") -> list[int]:
    async with serving(always(reply(body, status))) as server:
        engine = Engine("e", kind, server.url, 1)
        return [percent async for percent in pull(transport, engine, "ai/smollm2")]


async def test_model_runner_is_asked_as_it_wants_and_its_layers_add_up(transport: HttpTransport) -> None:
    story = lines(layer("a", 10, 50, 200), layer("a", 50, 50, 200), layer("b", 150, 150, 200), {"type": "success"})
    async with serving(always(reply(story))) as server:
        found = [p async for p in pull(transport, Engine("e", Kind.DOCKER_MODEL_RUNNER, server.url, 1), "ai/smollm2")]
    assert found == [5, 25, 99, 100]
    head, _, body = server.seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /models/create HTTP/1.1")
    assert b"accept: application/json\r\n" in head.lower() + b"\r\n", "for any other it escapes the JSON"
    assert json.loads(body) == {"from": "smollm2"}, "it adds what it adds to every name"


async def test_ollama_is_asked_as_localhost(transport: HttpTransport) -> None:
    story = lines({"status": "pulling manifest"}, {"status": "success"})
    async with serving(always(reply(story))) as server:
        found = [p async for p in pull(transport, Engine("e", Kind.OLLAMA, server.url, 1), "qwen3")]
    assert found[-1] == 100
    assert server.seen[0].startswith(b"POST /api/pull HTTP/1.1")
    assert b"host: localhost\r\n" in server.seen[0].lower()


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        (Kind.OLLAMA, lines({"status": "x"}, {"error": "no such model"}), "200 OK", "no such model"),
        (Kind.OLLAMA, lines({"error": "not found"}), "404 Not Found", "not found"),
        (Kind.DOCKER_MODEL_RUNNER, lines({"type": "error", "message": "full"}), "200 OK", "full"),
        (Kind.DOCKER_MODEL_RUNNER, lines({"type": "error"}), "200 OK", "no reason given"),
        (Kind.DOCKER_MODEL_RUNNER, b"Model not found\n", "404 Not Found", "Model not found"),
        (Kind.OLLAMA, b"", "500 Oops", "status 500"),
    ],
)
async def test_an_engine_that_will_not_says_why(
    transport: HttpTransport, kind: Kind, body: bytes, status: str, reason: str
) -> None:
    with pytest.raises(PullRefused, match=reason):
        await percents(transport, kind, body, status)


@pytest.mark.parametrize(
    "body", [b"", lines({"status": "pulling manifest"}), b"no json\n[]\n5\n", b"x" * 200_000, b"\n" * 50]
)
async def test_an_end_without_a_word_is_a_failure(transport: HttpTransport, body: bytes) -> None:
    with pytest.raises(EngineBroke):
        await percents(transport, Kind.OLLAMA, body)


async def test_a_line_without_end_is_a_failure_whatever_comes_after_it(transport: HttpTransport) -> None:
    with pytest.raises(EngineBroke):
        await percents(transport, Kind.OLLAMA, b"x" * 4_000_000 + b"\n" + lines({"status": "success"}))


def test_an_engine_cannot_make_us_remember_layers_without_end() -> None:
    tally = Tally()
    for number in range(1000):
        assert tally.take(Pulled(layer=str(number), came=0, size=1)) == 0
    assert tally.take(Pulled(layer="one more", came=10**9, size=10**9)) == 0
    assert tally.take(Pulled(layer="7", came=10**9, size=10**9)) == 99, "one that is known"


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.OLLAMA, Kind.DOCKER_MODEL_RUNNER}))
async def test_other_kinds_fetch_nothing(transport: HttpTransport, kind: Kind) -> None:
    engine = Engine("e", kind, "http://127.0.0.1:1", 1)
    assert not can_pull(engine)
    with pytest.raises(PullRefused):
        await anext(pull(transport, engine, "m"))
    with pytest.raises(ValueError, match="fetches models"):
        transport.pull(engine, UpstreamRequest("POST", "/api/pull"))


@pytest.mark.parametrize("model", ["gpt:cloud", "gpt-oss:120b-cloud"])
def test_models_of_somebody_elses_machine_are_not_fetched(model: str) -> None:
    assert adapter_for(Kind.OLLAMA).pull(model) is None


@pytest.mark.parametrize(
    ("asked", "of_ollama", "of_model_runner"),
    [
        ("ai/Llama3.2:3B-Q4_K_M", "Llama3.2:3B-Q4_K_M", "llama3.2:3B-Q4_K_M"),
        ("registry.ollama.ai/library/x:latest", "x", "x"),
        ("Evil/x:Tag", "Evil/x:Tag", "evil/x:Tag"),
        ("hf.co/Org/Repo:Q4", "hf.co/Org/Repo:Q4", "hf.co/org/repo:Q4"),
    ],
)
async def test_engines_are_asked_for_what_the_canonical_name_means_to_them(
    transport: HttpTransport, asked: str, of_ollama: str, of_model_runner: str
) -> None:
    for kind, field, wanted in ((Kind.OLLAMA, "model", of_ollama), (Kind.DOCKER_MODEL_RUNNER, "from", of_model_runner)):
        async with serving(always(reply(lines({"status": "success", "type": "success"})))) as server:
            found = [line async for line in fetch(transport, Engine("e", kind, server.url, 1), asked)]
        assert found == [Pulled(done=True)]
        assert json.loads(server.seen[0].partition(b"\r\n\r\n")[2])[field] == wanted


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("pull model manifest: file does not exist", MISSING),
        ("Model not found", MISSING),
        ("Unauthorized", MISSING),
        ("status 404", MISSING),
        ("write /srv/x: no space left on device", "the disk is full"),
        ("dial tcp 10.0.0.4:4040: connect: connection refused", "the registry cannot be reached"),
        ("lookup registry.ollama.ai: no such host", "the registry cannot be reached"),
        ("status 500", "the engine's own log says why"),
        ("", "the engine's own log says why"),
    ],
)
def test_what_the_engine_says_comes_to_a_few_words(text: str, cause: str) -> None:
    assert PullRefused(text).cause == cause


COUNTS = st.integers(0, 2**53)
PULLED = st.builds(Pulled, layer=st.sampled_from("abc"), came=COUNTS, size=COUNTS, total=COUNTS, done=st.booleans())


@given(st.lists(PULLED, max_size=20))
def test_whatever_engines_say_percents_rise_and_only_the_end_is_a_hundred(story: Sequence[Pulled]) -> None:
    tally, before, done = Tally(), 0, False
    for each in story:
        now = tally.take(each)
        done = done or each.done
        assert before <= now <= 100
        assert now < 100 or done
        before = now
