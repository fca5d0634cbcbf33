"""What a caller is told beforehand of captures: what the policy says now, and where it does not say, that."""

from __future__ import annotations

import pytest

from edge.capturing import Foresight, foresee_captures, most_of
from edge.policy.enforcement import Enforcement
from edge.policy.surroundings import Surroundings
from engines.catalogue import Catalogue
from policies.decision import Abilities
from policies.exchange import Client, Exchange
from policies.json import JSON, Object, as_object, as_str
from policies.obligations import CAPTURES
from policies.pdp import Answer
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason
from policies.record import Record
from policies.result import read_decision

ANN = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES, ("*",))


class Point:
    """Says `captures` by model; a Reason is a failure."""

    def __init__(self, captures: dict[str, str | Reason]) -> None:
        self._captures = captures

    async def ask(self, document: Object) -> Answer:
        said = self._captures.get(as_str(as_object(document["model"])["resolved"]))
        if isinstance(said, Reason):
            return Answer(None, said, "it is dead", None, "embedded", "r1", 1)
        obligations: dict[str, JSON] = {"capture": said} if said is not None else {}
        result: Object = {"allow": said is not None, "obligations": obligations}
        return Answer(read_decision(result), None, "", result, "embedded", "r1", 1)


class Nowhere:
    def write(self, record: Record) -> None:
        raise AssertionError(record)

    async def write_durably(self, record: Record) -> None:
        raise AssertionError(record)


async def test_what_is_not_known_is_said_to_be_unknown() -> None:
    captures = {
        "some": "metadata",
        "all": "full",
        "plain": "none",
        "away": Reason.POLICY_UNAVAILABLE,
        "broken": Reason.POLICY_FAILED,
    }
    enforcement = Enforcement(
        Point(captures), Nowhere(), Surroundings({}, {}, zone="UTC"), Abilities(captures=frozenset(CAPTURES))
    )
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "GET", "/v1/me")
    names = [*captures, "refused"]
    found = await foresee_captures(enforcement, exchange, ANN, names, Catalogue())
    assert found.models == {"some": "metadata", "all": "full", "away": "unknown", "broken": "unknown"}


@pytest.mark.parametrize(
    ("levels", "most"),
    [
        ([], "none"),
        (["none", "metadata"], "metadata"),
        (["metadata", "unknown", "none"], "unknown"),
        (["unknown", "full"], "full"),
    ],
)
def test_what_is_not_known_may_be_anything(levels: list[Foresight], most: str) -> None:
    assert most_of(levels) == most
