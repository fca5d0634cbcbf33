"""How long after `policy apply` an OPA that follows the gateway enforces the new policy."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Final

from policies.json import Object, as_object
from tests.benchmarks.contenders import gateway_to
from tests.system.opa import Follower, follower
from tests.system.process import Gateway, until

GOAL: Final = 1.0
"""Seconds."""
_RULE: Final = """package gateway.authz

deny contains {"code": "round_%d", "message": "", "public": false} if input.caller.id == "nobody"
"""
_QUESTION: Final[Object] = {"v": 1, "operation": "chat", "caller": {"id": "nobody"}}
_WITHIN: Final = 20.0


def measure(folder: Path, origin: int, rounds: int) -> Object:
    """Seconds from the end of the command to the OPA's first decision by the new policy; the median of `rounds`."""
    gateway = gateway_to(folder / "gateway", origin)
    try:
        _ = gateway.start()
        key = gateway.create_key("fleet", "--scope", "policy:sync")
        with follower(gateway, key, folder / "opa") as opa:
            times = [_round(gateway, opa, folder / f"draft{number}", number) for number in range(rounds)]
    finally:
        gateway.kill()
    found = median(times)
    return {
        "applied_to_enforced_s": round(found, 3),
        "worst_s": round(max(times), 3),
        "goal_s": GOAL,
        "met": found <= GOAL,
    }


def _round(gateway: Gateway, opa: Follower, draft: Path, number: int) -> float:
    until(lambda: opa.decides(_QUESTION) is not None, _WITHIN, "the OPA has a policy")
    _run(gateway, "init", str(draft))
    (draft / "round.rego").write_text(_RULE % number)
    _run(gateway, "apply", str(draft), "--note", f"round {number}")
    begun = time.monotonic()
    until(lambda: f"round_{number}" in _codes(opa), _WITHIN, "the OPA enforces what was applied")
    return time.monotonic() - begun


def _codes(opa: Follower) -> str:
    return str(as_object(opa.decides(_QUESTION)).get("reasons"))


def _run(gateway: Gateway, *arguments: str) -> None:
    ended = gateway.run("policy", *arguments, "--config", str(gateway.file))
    if ended.code != 0:
        raise RuntimeError(ended.err)
