"""What each caller has been served of late: the measure of who goes next. Pure.

Service is counted in tokens, an output token weighing two: an output token is one step of the model, while input is
read in batches. Past service is halved every `half_life` seconds, by letting new service weigh more instead of old
service weigh less, so that nothing has to be recomputed to compare two callers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

OUTPUT_WEIGHT: Final = 2
LEAST: Final = 1.0
"""What a turn counts at least, in input tokens: even where no engine reports usage, callers take turns."""

_REBASE: Final = 32.0  # half-lives after which all accounts are scaled back: 2^32 keeps 20 bits of a float's 52
_SMOOTHING: Final = 0.1
_ACCOUNTS: Final = 256


class Account:
    """One caller's service (in weighted, scaled tokens), and how many of its requests run and wait."""

    __slots__ = ("caller", "running", "value", "waiting")

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.value = 0.0
        self.running = 0
        self.waiting = 0


class Held:
    """What one turn is charged, in weighted tokens: at first what a turn usually costs, and so never free."""

    __slots__ = ("account", "charged", "done", "held")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.held = 0.0
        self.charged = 0.0
        self.done = False


class Attained:
    """All callers' accounts of one engine."""

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life
        self._accounts: dict[str, Account] = {}
        self._sweep = _ACCOUNTS
        self._age = 0.0
        self._weight = 1.0
        self._usual = LEAST
        self._level = dict[int, float]()  # band -> where the caller stood that got its last turn

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def usual(self) -> float:
        """What a turn usually costs, scaled as the accounts are."""
        return self._usual * self._weight

    def of(self, caller: str) -> Account:
        """The caller's account; a new one is empty."""
        account = self._accounts.get(caller)
        if account is None:
            if len(self._accounts) >= self._sweep:
                self._forget_small()
            account = self._accounts[caller] = Account(caller)
        return account

    def value(self, caller: str) -> float:
        """What the caller has been served, in weighted tokens of today."""
        account = self._accounts.get(caller)
        return account.value / self._weight if account else 0.0

    def lift(self, account: Account, band: int, waiting: Iterable[Account]) -> None:
        """Let a caller begin where the others of its band stand: who was away has saved nothing up.

        That is with the least of those who wait or, where nobody does, of those who are served; and where the last turn
        was given, if that is less (a lone heavy user in line is no measure). While somebody waits, those who are served
        do not count: a caller that never uses its share would pull all newcomers down to where it stands.
        """
        least = self._least(account, band, waiting)
        account.value = max(account.value, min(least, self._level.get(band, least)))

    def hold(self, held: Held, band: int) -> None:
        """Charge a turn that begins what one usually costs."""
        self._level[band] = held.account.value
        held.held = self._usual
        held.account.value += self.usual

    def charge(self, held: Held, input_tokens: int, output_tokens: int) -> None:
        """Charge what was served, beyond what is held for it already. After the turn, the correction is exact."""
        held.charged += max(input_tokens, 0) + OUTPUT_WEIGHT * max(output_tokens, 0)
        if held.done or held.charged > held.held:
            self._settle(held)

    def close(self, held: Held) -> None:
        """The turn is over: correct to what was charged; a turn that reported nothing stays charged as usual."""
        held.done = True
        if held.charged:
            self._usual += _SMOOTHING * (max(held.charged, LEAST) - self._usual)
            self._settle(held)

    def age(self, seconds: float) -> None:
        """Let `seconds` pass: what was served until now counts less."""
        self._age += max(seconds, 0.0) / self._half_life
        if self._age > _REBASE:
            self._rebase()
        self._weight = math.exp2(self._age)

    def _least(self, account: Account, band: int, waiting: Iterable[Account]) -> float:  # noqa: ARG002 - shared_order's
        least = min((other.value for other in waiting), default=None)
        if least is None:
            served = (a.value for a in self._accounts.values() if a.running and a is not account)
            least = min(served, default=0.0)
        return least

    def _settle(self, held: Held) -> None:
        due = max(held.charged, LEAST)
        held.account.value = max(held.account.value + (due - held.held) * self._weight, 0.0)
        held.held = due

    def _rebase(self) -> None:
        factor = math.exp2(-min(self._age, 1000.0))
        for account in self._accounts.values():
            account.value *= factor
        for band in self._level:
            self._level[band] *= factor
        self._age = 0.0
        self._weight = 1.0

    def _forget_small(self) -> None:
        """Forget callers who are away and whose account says nothing, so that keys cannot fill the memory.

        It says nothing where it is next to empty, or below where its owner would begin anyway.
        """
        busy = [account.value for account in self._accounts.values() if account.running or account.waiting]
        bound = max(self.usual, min(busy, default=0.0))
        gone = [a for a in self._accounts.values() if not a.running and not a.waiting and a.value <= bound]
        for account in gone:
            del self._accounts[account.caller]
        self._sweep = max(_ACCOUNTS, 2 * len(self._accounts))
