"""The catalogue follows the engines: who comes, who goes, who must not be disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model
from engines.discovery import Place
from engines.refresher import Pace, Refresher, Watch
from engines.transport import HttpTransport
from tests.engines.fakes import Fake
from tests.engines.loopback import Peer, serving
from tests.engines.waiting import until

ENGINE = Engine("e", Kind.VLLM, "http://127.0.0.1:1", 1)
QUICK = Pace(discovery=0.02, listing=0.02, manual=2.0, deadline=0.3, longest=0.05)


class Board:
    """What was published, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.time = 100.0
        self.published: list[Catalogue] = []

    def names(self) -> list[str]:
        return [entry.name for entry in self.published[-1].models()] if self.published else []

    def refresher(
        self,
        transport: HttpTransport,
        *engines: Engine,
        places: tuple[Place, ...] = (),
        busy: Callable[[str], bool] = lambda _: False,
    ) -> Refresher:
        pace = Pace(deadline=0.3)
        return Refresher(
            transport,
            engines,
            publish=self.published.append,
            now=lambda: self.time,
            places=places,
            busy=busy,
            pace=pace,
        )


async def after(board: Board, refresher: Refresher, seconds: float = 2.0) -> None:
    board.time += seconds
    await refresher.refresh()


# the decisions


def test_models_stay_until_patience_is_over() -> None:
    watch, pace = Watch(ENGINE, configured=True), Pace()
    watch.answered([Model("m", "m")], 0.0, pace)
    watch.missed(10.0, pace)
    assert (watch.up, watch.models, watch.due) == (True, (Model("m", "m"),), 20.0)
    watch.missed(20.0, pace)
    assert (watch.up, watch.models) == (False, ())


def test_waits_grow_while_an_engine_is_away_and_end_when_it_is_back() -> None:
    watch, pace = Watch(ENGINE, configured=True), Pace(listing=10, longest=30)
    waits = []
    for _ in range(6):
        watch.missed(0.0, pace)
        waits.append(watch.due)
    assert waits == [10, 10, 20, 30, 30, 30]
    watch.answered([], 0.0, pace)
    assert (watch.due, watch.failures) == (10, 0)


@given(st.lists(st.booleans(), max_size=60))
def test_an_engine_that_is_up_answered_lately(answers: list[bool]) -> None:
    watch, pace = Watch(ENGINE, configured=True), Pace()
    for answered in answers:
        if answered:
            watch.answered([Model("m", "m")], 0.0, pace)
        else:
            watch.missed(0.0, pace)
        assert 0 < watch.due <= pace.longest
        assert watch.up or not watch.models
    assert watch.up == any(answers[-pace.failures :])


def test_who_is_disturbed_by_a_listing_is_asked_once() -> None:
    delicate = Watch(Engine("e", Kind.LLAMA_CPP_PYTHON, "http://127.0.0.1:1", 1), configured=True)
    assert not delicate.must_list(busy=True)
    assert delicate.must_list(busy=False)
    delicate.answered([Model("m", "m")], 0.0, Pace())
    assert not delicate.must_list(busy=False)
    delicate.missed(0.0, Pace())
    assert delicate.must_list(busy=False)
    assert not delicate.must_list(busy=True)
    assert Watch(ENGINE, configured=True).must_list(busy=True)


# the asking


async def test_models_come_and_change(transport: HttpTransport) -> None:
    board, fake = Board(), Fake(Kind.OLLAMA, ["a"])
    async with fake.serving() as server:
        refresher = board.refresher(transport, server.engine(Kind.OLLAMA))
        await refresher.refresh()
        assert board.names() == ["a"]
        fake.models = ["a", "b"]
        await after(board, refresher)
        assert board.names() == ["a", "b"]
        await after(board, refresher)
        assert len(board.published) == 2  # nothing new, nothing published


async def test_an_engine_that_goes_takes_its_models_with_it_and_brings_them_back(transport: HttpTransport) -> None:
    board, fake = Board(), Fake(Kind.VLLM)
    async with fake.serving() as server:
        engine = server.engine(Kind.VLLM)
        refresher = board.refresher(transport, engine)
        await refresher.refresh()
        fake.up = False
        await after(board, refresher)
        assert board.names() == ["m"]
        await after(board, refresher)
        assert board.names() == []
        assert refresher.engines == {engine: False}
        fake.up = True
        await after(board, refresher)
        assert board.names() == ["m"]
        assert refresher.engines == {engine: True}


async def test_refreshing_too_often_does_nothing(transport: HttpTransport) -> None:
    board, fake = Board(), Fake(Kind.VLLM)
    async with fake.serving() as server:
        refresher = board.refresher(transport, server.engine(Kind.VLLM))
        for _ in range(5):
            await refresher.refresh()
            board.time += 0.3
        await asyncio.gather(*(refresher.refresh() for _ in range(5)))
    assert fake.asked == ["/version", "/v1/models"]


async def test_a_slow_engine_does_not_hide_the_others(transport: HttpTransport) -> None:
    board = Board()
    async with serving(Peer.gone) as hanging, Fake(Kind.VLLM).serving() as server:
        slow = Engine("slow", Kind.VLLM, hanging.url, 1)
        refresher = board.refresher(transport, slow, server.engine(Kind.VLLM))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(refresher.refresh())
            await until(lambda: bool(board.names()))
            assert not task.done()
        assert refresher.engines[slow] is False


async def test_new_engines_are_found_and_lost_ones_forgotten(transport: HttpTransport) -> None:
    board, fake = Board(), Fake(Kind.MLX_LM, up=False)
    async with fake.serving() as server:
        refresher = board.refresher(transport, places=(Place(Kind.MLX_LM, server.url),))
        await refresher.refresh()
        assert refresher.engines == {}
        fake.up = True
        await after(board, refresher)
        assert [engine.name for engine in refresher.engines] == ["mlx-lm"]
        assert board.names() == ["m"]
        fake.up = False
        await after(board, refresher)
        await after(board, refresher)
        assert refresher.engines == {}
        assert board.names() == []


async def test_llama_cpp_python_is_not_listed_while_it_works(transport: HttpTransport) -> None:
    board, fake, busy = Board(), Fake(Kind.LLAMA_CPP_PYTHON), True
    async with fake.serving() as server:
        refresher = board.refresher(transport, server.engine(Kind.LLAMA_CPP_PYTHON), busy=lambda _: busy)
        await refresher.refresh()
        assert fake.asked == ["/openapi.json"]
        busy = False
        await after(board, refresher)
        assert board.names() == ["m"]
        for _ in range(3):
            await after(board, refresher)
        assert fake.asked.count("/v1/models") == 1


async def test_running_keeps_up_by_itself(transport: HttpTransport) -> None:
    published: list[Catalogue] = []
    fake = Fake(Kind.LM_STUDIO, ["a"])
    async with fake.serving() as server:
        refresher = Refresher(
            transport,
            [server.engine(Kind.LM_STUDIO)],
            publish=published.append,
            now=asyncio.get_running_loop().time,
            aliases={"x": "b"},
            pace=QUICK,
        )

        async with asyncio.TaskGroup() as group:
            task = group.create_task(refresher.run())
            await until(lambda: bool(published and published[-1].resolve("a")))
            fake.models = ["b"]
            await until(lambda: bool(published[-1].resolve("x")))
            task.cancel()


async def test_a_discovered_engine_never_shares_the_models_of_a_configured_one(transport: HttpTransport) -> None:
    board = Board()
    async with Fake(Kind.VLLM, ["mine"]).serving() as mine, Fake(Kind.VLLM, ["mine", "more"]).serving() as stranger:
        refresher = board.refresher(transport, mine.engine(Kind.VLLM), places=(Place(Kind.VLLM, stranger.url),))
        await after(board, refresher)
        assert board.names() == ["mine", "more"]
        assert [target.engine.url for target in board.published[-1].resolve("mine")] == [mine.url]
