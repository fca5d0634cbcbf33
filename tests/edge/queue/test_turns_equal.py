"""turns.lua and its double in Python say the same of any history, and neither ever lets too many go.

Invariant: living leases never exceed the slots of whoever was granted one last, nor their models those that fit, nor
loads one; and both answer every step alike.
"""

from __future__ import annotations

import asyncio

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.limits.scripts import Scripts
from edge.queue.attained import Account
from edge.queue.contract import Wish
from edge.queue.order import Entry
from edge.queue.redis_turns import RedisTurns
from edge.queue.shared_order import Bid, Kind, Rank
from tests.edge.limits.asks import START
from tests.edge.queue.slots import Engine, Turns

SLOTS, MODELS = 3, 2
NAMES = ("one", "two", "three")

bids = st.builds(
    lambda model, rank, waited, loads, evicts: Bid(
        Entry(Wish("k", model=model), Account("k")), rank, waited, loads, tuple(evicts) if loads else ()
    ),
    st.sampled_from("abc"),
    st.builds(Rank, st.integers(-1, 2), st.sampled_from(Kind), st.integers(0, 3).map(float)),
    st.integers(0, 3).map(float),
    st.booleans(),
    st.lists(st.sampled_from("abc"), max_size=1),
)
steps = st.one_of(
    st.tuples(st.just("bid"), st.sampled_from(NAMES), bids),
    st.tuples(st.just("look"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("answer"), st.integers(0, 9), st.none()),
    st.tuples(st.just("renew"), st.integers(0, 9), st.none()),
    st.tuples(st.just("release"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 700, 4_000, 11_000]), st.none()),
)


async def _play(history: list[tuple[str, str | int, Bid | bool | None]]) -> None:
    scripts = Scripts(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()), whole=10.0)
    engine = Engine(now=START)
    scripts.time = str(START)
    both = [(RedisTurns(scripts, "e", name, swaps=True), Turns(engine, name, swaps=True)) for name in NAMES]
    leases: list[tuple[str, Entry]] = []
    for number, (what, which, more) in enumerate(history):
        if isinstance(more, Bid):
            name = str(which)
            script, double = both[NAMES.index(name)]
            answer = await script.bid(more, f"{name}-{number}", SLOTS, MODELS)
            assert answer == await double.bid(more, f"{name}-{number}", SLOTS, MODELS)
            if answer[0]:
                more.entry.loads = more.loads
                leases.append((f"{name}-{number}", more.entry))
                living = [lease for lease in engine.leases.values() if lease.ends > engine.now]
                assert len(living) <= SLOTS
                assert len({lease.model for lease in living}) <= MODELS
                assert sum(lease.loads for lease in living) <= 1
        elif what == "look":
            script, double = both[NAMES.index(str(which))]
            assert await script.look() == await double.look()
        elif what == "wait":
            engine.now += int(which)
            scripts.time = str(int(engine.now))
        elif leases:
            lease, entry = leases[int(which) % len(leases)]
            if lease not in engine.leases or engine.leases[lease].ends <= engine.now:
                continue  # who has lost its slot puts it back, and then there may be more: test_redis_turns
            for turns in both[0]:
                if what == "release":
                    await turns.release([(lease, more is True)])
                else:
                    entry.loads = entry.loads and what != "answer"
                    await turns.renew([(lease, entry)])
    await scripts.close()


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=30))
def test_the_script_and_its_double_answer_alike_and_never_let_too_many_go(
    history: list[tuple[str, str | int, Bid | bool | None]],
) -> None:
    asyncio.run(_play(history))
