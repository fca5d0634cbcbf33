"""A restart gives nobody a new day: the windows that the journal refills are those that were there before."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from edge.bookkeeping import caller, charges
from edge.ledger.entry import Hold, Settled
from edge.ledger.recovery import spent
from edge.ledger.rollup import roll_up
from edge.ledger.rows import DAY, Row, hold_row, recovered_row, set_off, settle_row
from edge.limits.contract import WINDOWS, Bound, Meter
from edge.limits.rules import Asking, Rules
from edge.limits.settings import Amounts, LimitClass, LimitSettings, Per, Rule
from edge.limits.windows import Windows
from edge.store.database import Database
from edge.store.schema import LEDGER
from policies.principal import DEFAULT_SCOPES, Principal
from tests.edge.ledger.fixtures import NOW, a_hold, open_at, settled

MS = 1000
CLASSES = {"batch": LimitClass(tokens=Amounts(day=500)), "chat": LimitClass(rpm=3)}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_at(tmp_path)
    yield opened
    opened.close()


def write(database: Database, rows: list[Row]) -> None:
    with database.writing() as connection:
        connection.execute(insert(LEDGER), [row._asdict() for row in rows])


def refilled(database: Database, rules: Rules, now: float) -> Windows:
    windows = Windows()
    before = charges(database, rules, now)
    windows.restore(((who, meter, int(at * MS), much) for who, meter, at, much in before), int(now * MS))
    return windows


def one(number: int, at: float, rate_class: str = "", key: str = "k1", tokens: int = 5) -> Row:
    hold = Hold(f"r{number}", at, key, "ann", ("dev",), "local", "m", "e", "chat", False, 1, 1, rate_class)
    return settle_row(hold_row(hold, "me"), Settled(f"r{number}", at + 1, tokens, tokens, gpu_ms=tokens))


def test_classes_are_refilled_each_by_itself_also_from_what_is_rolled_up(database: Database) -> None:
    rules = Rules(LimitSettings(CLASSES))
    ages = [2 * DAY, 3600.0, 30.0]
    write(database, [one(number, NOW - age, name) for number, age in enumerate(ages) for name in ("batch", "chat", "")])
    while roll_up(database, DAY, NOW):
        pass
    assert {row.rate_class for row in spent(database, NOW - 30 * DAY, NOW)} == {"batch", "chat", ""}
    windows = refilled(database, rules, NOW)
    for name, meter, each in (("batch", Meter.TOKENS, 10), ("chat", Meter.REQUESTS, 1)):
        bounds = [Bound(f"class:{name} key:k1", meter, window, 9) for window in WINDOWS]
        assert [level.used // each for level in windows.levels(bounds, int(NOW * MS))] == [1, 2, 2, 3]


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        (Principal("idp:alice", "jwt:idp:alice", "alice", "jwt", frozenset(), DEFAULT_SCOPES), "alice"),
        (Principal("idp:a:b", "jwt:idp:a:b", "a:b", "jwt", frozenset(), DEFAULT_SCOPES), "a:b"),
        (Principal("bob", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES), "laptop"),
        (Principal("bob", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES), "k1"),
    ],
)
def test_rules_find_a_caller_by_name_after_a_restart_as_before(who: Principal, rule: str) -> None:
    rules = Rules(LimitSettings({}, (Rule(name="r", keys=frozenset({rule}), tokens=Amounts(day=10)),)))
    again = caller(who.key_id, who.id, (), {"k1": "laptop"})
    assert again == who
    live = {(bound.subject, bound.meter) for bound in rules.applying(Asking(who, "m", "l"), NOW).bounds if bound.name}
    assert live
    assert live <= {(bound.subject, bound.meter) for bound in rules.counters(Asking(again, "m", "l"), NOW)}


def test_a_key_that_was_deleted_goes_by_its_id() -> None:
    assert caller("k9", "bob", (), {}).name == "k9"


@pytest.mark.parametrize("offset", [0.0, 0.5, 1439.9, 43_199.0])
def test_sums_fill_every_window_as_the_single_requests_would(database: Database, offset: float) -> None:
    """At any time of the day, and long after the restart too."""
    now = NOW + offset
    chance = random.Random(offset)
    spans = (90, 4000, 90_000, 30 * DAY)
    rows = [one(number, now - chance.uniform(0, spans[number % 4]), tokens=number) for number in range(800)]
    edges = [now, now - 60, now - 120, now - 3600, now - 3720, now - DAY, now - DAY - 3600]
    edges += [float(int(at // step * step)) for at in edges for step in (1, 60, 1440, 43_200)]
    rows += [one(800 + number, at) for number, at in enumerate(edges)]
    write(database, rows)
    exact = Windows()
    each = ((f"key:{row.key}", Meter.TOKENS, int(row.at * MS), row.input + row.output) for row in rows)
    exact.restore(sorted(each, key=lambda charge: charge[2]), int(now * MS))
    windows = refilled(database, Rules(LimitSettings()), now)
    bounds = [Bound("key:k1", Meter.TOKENS, window, 0) for window in WINDOWS]
    for later in (0, 1, 30, 61, 600, 3601, DAY / 2, DAY + 1500, 20 * DAY):
        at = int((now + later) * MS)
        assert windows.levels(bounds, at) == exact.levels(bounds, at)


def test_what_was_set_off_is_not_charged_twice(database: Database) -> None:
    hold = hold_row(a_hold(at=NOW - 30), "me")
    wrong = recovered_row(hold, None, NOW)._replace(output=70)
    write(database, [wrong, set_off(settle_row(hold, settled(output=50)), wrong)])
    (row,) = spent(database, NOW - DAY, NOW)
    assert (row.requests, row.output) == (1, 50)


def test_fifty_thousand_requests_delay_a_start_by_a_moment(database: Database) -> None:
    """0.2 s on an idle machine; one by one it was 5.6 s."""
    chance = random.Random(4)
    names = [f"k{number}" for number in range(20)]
    rows = [one(number, NOW - chance.uniform(0, 90_000), key=chance.choice(names)) for number in range(50_000)]
    write(database, rows)
    rules = Rules(LimitSettings(CLASSES, tuple(Rule(name=f"per {per}", per=per, tpd=9) for per in Per)))
    began = time.process_time()
    windows = refilled(database, rules, NOW)
    took = time.process_time() - began
    assert len(windows)
    assert took < 2  # several times what it takes
