"""Lock-out: per source, bounded, honest about when it ends."""

from __future__ import annotations

from edge.identity.lockout import Lockout, LockoutSettings


def fail(lockout: Lockout, times: int, now: float, source: str = "a") -> float:
    return [lockout.fail(source, now) for _ in range(times)][-1]


def test_twenty_failures_in_a_minute_lock_the_source_and_nobody_else() -> None:
    lockout = Lockout()
    assert fail(lockout, 19, 0.0) == 0.0
    assert fail(lockout, 1, 59.0) == 60.0
    assert lockout.locked("a", 60.0) == 59.0
    assert lockout.locked("b", 60.0) == 0.0


def test_failures_spread_over_more_than_a_window_do_not() -> None:
    lockout = Lockout()
    for minute in range(30):
        assert fail(lockout, 19, minute * 61.0) == 0.0


def test_failures_during_a_lock_do_not_prolong_it() -> None:
    lockout = Lockout()
    fail(lockout, 20, 0.0)
    assert fail(lockout, 1000, 30.0) == 30.0
    assert lockout.locked("a", 60.0) == 0.0
    assert lockout.fail("a", 60.0) == 0.0


def test_each_lock_is_twice_as_long_up_to_a_quarter_of_an_hour() -> None:
    lockout, now, lengths = Lockout(), 0.0, []
    for _ in range(7):
        lengths.append(fail(lockout, 20, now))
        now += lengths[-1]
    assert lengths == [60, 120, 240, 480, 900, 900, 900]


def test_a_quiet_quarter_of_an_hour_is_forgiven() -> None:
    lockout = Lockout()
    fail(lockout, 20, 0.0)
    assert fail(lockout, 20, 60.0) == 120.0
    assert fail(lockout, 20, 180.0 + 60 + 901) == 60.0


def test_the_table_is_bounded_and_forgets_the_longest_unseen() -> None:
    lockout = Lockout(LockoutSettings(failures=2, sources=3))
    fail(lockout, 2, 0.0, "first")
    for source in ("b", "c", "d", "e"):
        lockout.fail(source, 1.0)
        lockout.may_verify(source, 1.0)
    assert lockout.remembered == 6
    assert lockout.locked("first", 1.0) == 0.0


def test_verifications_have_a_budget_and_a_smaller_one_while_locked() -> None:
    lockout = Lockout(LockoutSettings(verify_rate=2, verify_burst=4, locked_verify_rate=1, locked_verify_burst=2))
    assert [lockout.may_verify("a", 0.0) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert lockout.may_verify("b", 0.0) == 0.0
    assert lockout.may_verify("a", 0.5) == 0.0
    fail(lockout, 20, 1.0)
    assert [lockout.may_verify("a", 100.0 - 60 + t) for t in (0, 0, 0, 1.0, 1.0)] == [0, 0, 1.0, 0, 1.0]
