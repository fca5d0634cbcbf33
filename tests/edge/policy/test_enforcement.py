"""The enforcement point: one question, one record, one Permit or Refusal."""

from __future__ import annotations

import asyncio

import pytest

from edge.policy.enforcement import CREDENTIAL, Asked, Enforcement, unforeseen
from edge.policy.surroundings import Surroundings
from observability.access import access_line
from observability.decisions.log import DecisionLogError
from policies.call import Dialect, Operation
from policies.decision import Abilities, Denial, Permit
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.input import NO_SHAPE, Shape
from policies.json import JSON, Object, as_object
from policies.pdp import Answer
from policies.principal import DEFAULT_SCOPES, Principal, Scope
from policies.reasons import Reason
from policies.record import MASK, Record
from policies.result import read_decision

ALIASES = {"best": "qwen"}


class Point:
    """Says to each model what it is told to, and no to others."""

    def __init__(self, **answers: Object) -> None:
        self.answers = answers
        self.asked: list[Object] = []
        self.failure: Reason | None = None

    async def ask(self, document: Object) -> Answer:
        self.asked.append(document)
        if self.failure is not None:
            return Answer(None, self.failure, "it is dead", None, "embedded", "r1", 7)
        model = str(as_object(document["model"])["resolved"]) or "listing"
        result = self.answers.get(model, {"allow": False, "reasons": [{"code": "no_grant"}]})
        return Answer(read_decision(result), None, "", result, "embedded", "r1", 7)


class Log:
    """Keeps records; `durable` names those that were waited for."""

    def __init__(self, *, broken: bool = False) -> None:
        self.records: list[Record] = []
        self.durable: list[str] = []
        self._broken = broken

    def write(self, record: Record) -> None:
        self.records.append(record)

    async def write_durably(self, record: Record) -> None:
        if self._broken:
            raise DecisionLogError("the disk is full")
        self.durable.append(record.id)
        self.records.append(record)


def yes(**obligations: JSON) -> Object:
    return {"allow": True, "reasons": [], "obligations": obligations, "grants": ["g"]}


async def ask(
    point: Point,
    log: Log,
    model: str = "tiny",
    operation: Operation = Operation.CHAT,
    *,
    scopes: frozenset[Scope] = DEFAULT_SCOPES,
    globs: tuple[str, ...] = ("*",),
    shape: Shape = NO_SHAPE,
    exchange: Exchange | None = None,
) -> Permit:
    surroundings = Surroundings({}, {}, zone="UTC")
    enforcement = Enforcement(point, log, surroundings, Abilities(), wall_ns=lambda: 5_000_000_000)
    principal = Principal("ann", "k1", "laptop", "key", frozenset(), scopes, globs)
    exchange = exchange or Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "POST", "/v1/chat/completions")
    models = () if model else ("tiny", "qwen")
    asked = Asked(operation, Dialect.OPENAI, model, shape=shape, models=models)
    permit = await enforcement.permit(exchange, principal, asked, lambda name: ALIASES.get(name.lower(), name.lower()))
    assert exchange.permit is permit
    assert exchange.redact == permit.obligations.redact
    return permit


async def refused(point: Point, log: Log, model: str = "tiny") -> Refusal:
    with pytest.raises(Refusal) as caught:
        await ask(point, log, model)
    return caught.value


async def test_a_yes_is_a_permit_and_a_record() -> None:
    point, log = Point(tiny=yes(max_tokens=3)), Log()
    permit = await ask(point, log, "Tiny")
    assert (permit.model, permit.obligations.max_tokens, permit.grants) == ("tiny", 3, ("g",))
    (record,) = log.records
    assert (record.id, record.at, record.allow, record.reason, record.engine) == ("f" * 32, 5.0, True, "", "embedded")
    assert (record.revision, record.took_us, record.result) == ("r1", 7, yes(max_tokens=3))
    assert record.input == point.asked[0]
    assert as_object(record.input["model"]) | {"requested": "Tiny", "resolved": "tiny"} == record.input["model"]


async def test_a_no_is_a_refusal_and_a_record() -> None:
    point, log = Point(), Log()
    refusal = await refused(point, log)
    assert (refusal.reason, refusal.detail) == (Reason.MODEL_NOT_PERMITTED, "policy: no_grant")
    (record,) = log.records
    assert (record.allow, record.reason, record.detail) == (False, "model_not_permitted", "policy: no_grant")


@pytest.mark.parametrize("model", ["no name", "", "\x00", "x" * 300, "a\nb", "\u00e9"])
async def test_what_is_no_name_is_no_model(model: str) -> None:
    point, log = Point(**{model: yes()}), Log()
    assert (await refused(point, log, model)).reason is Reason.MODEL_NOT_PERMITTED
    assert point.asked == []


async def test_outside_the_credentials_bounds_the_policy_is_not_even_asked() -> None:
    point, log = Point(tiny=yes()), Log()
    with pytest.raises(Refusal) as caught:
        await ask(point, log, globs=("qwen",))
    assert caught.value.reason is Reason.MODEL_NOT_PERMITTED
    assert point.asked == []
    (record,) = log.records
    assert (record.engine, record.result, record.allow) == (CREDENTIAL, None, False)


async def test_a_failing_engine_is_a_refusal_that_asks_for_another_try_where_that_helps() -> None:
    for reason, again in ((Reason.POLICY_UNAVAILABLE, True), (Reason.POLICY_FAILED, False)):
        point, log = Point(tiny=yes()), Log()
        point.failure = reason
        refusal = await refused(point, log)
        assert (refusal.reason, refusal.retry_after is not None) == (reason, again)
        assert (log.records[0].allow, log.records[0].reason) == (False, reason.value)


async def test_whoever_is_over_a_quota_is_told_to_wait_and_nobody_else() -> None:
    for code, wait in (("token_quota", 60.0), ("no_grant", None), ("too_long", None)):
        refusal = await refused(Point(tiny={"allow": False, "reasons": [{"code": code}]}), Log())
        assert refusal.retry_after == wait


async def test_a_redirect_is_asked_about_by_its_meaning() -> None:
    point, log = Point(fast=yes(model="Best", max_tokens=9), qwen=yes(max_tokens=4)), Log()
    permit = await ask(point, log, "fast")
    assert (permit.model, permit.obligations.max_tokens, permit.obligations.model) == ("qwen", 4, None)
    assert [(record.redirect, record.allow, record.detail) for record in log.records] == [
        (0, True, "redirected"),
        (1, True, ""),
    ]


@pytest.mark.parametrize("target", ["qwen", "secret"])
async def test_a_redirect_to_what_is_not_permitted_is_a_no(target: str) -> None:
    point, log = Point(fast=yes(model=target), secret=yes()), Log()
    with pytest.raises(Refusal) as caught:
        await ask(point, log, "fast", globs=("fast", "qwen"))
    assert caught.value.reason is Reason.MODEL_NOT_PERMITTED
    assert [record.allow for record in log.records] == [True, False]


async def test_a_redirect_that_leads_on_is_a_no() -> None:
    point, log = Point(fast=yes(model="qwen"), qwen=yes(model="tiny"), tiny=yes()), Log()
    assert (await refused(point, log, "fast")).reason is Reason.POLICY_OBLIGATION


async def test_an_audited_yes_is_on_disk_or_a_no() -> None:
    point, log = Point(tiny=yes(audit=True)), Log()
    _ = await ask(point, log)
    assert log.durable == ["f" * 32]
    refusal = await refused(Point(tiny=yes(audit=True)), Log(broken=True))
    assert (refusal.reason, refusal.retry_after) == (Reason.POLICY_UNAVAILABLE, 1.0)


async def test_redacted_fields_are_in_no_record() -> None:
    log = Log()
    _ = await ask(Point(tiny=yes(redact=["caller.name", "source.ip", "messages"])), log)
    (record,) = log.records
    assert record.masked == ("caller.name", "key.name", "source.container", "source.ip")
    assert "laptop" not in str(record.document())
    assert "127.0.0.1" not in str(record.document())


async def test_who_one_is_is_never_refused_and_lists_what_a_listing_would() -> None:
    point, log = Point(listing=yes(models=["qwen"])), Log()
    permit = await ask(point, log, "", Operation.ME)
    assert (permit.shows("qwen"), permit.shows("tiny")) == (True, False)
    assert point.asked[0]["operation"] == "models.list"
    log = Log()
    permit = await ask(Point(), log, "", Operation.ME)
    assert not permit.shows("qwen")
    assert not log.records[0].allow


async def test_a_key_in_the_place_of_a_model_is_in_no_record() -> None:
    log = Log()
    secret = "lgw_Qqi41Dwtbh_ySxR5sDwrUIaqZXZaXep9fuAHnDQp8Pv7s3QjzPLjjM3gt9aE"
    point = Point()
    assert (await refused(point, log, secret)).reason is Reason.MODEL_NOT_PERMITTED
    # Its canonical spelling, all lower case, is as good as the key to whoever can guess.
    assert secret[15:].lower() not in str(log.records[0].document()).lower()
    assert point.asked == []


async def test_a_key_in_the_place_of_a_tools_name_is_in_no_record() -> None:
    log = Log()
    secret = "lgw_Qqi41Dwtbh_ySxR5sDwrUIaqZXZaXep9fuAHnDQp8Pv7s3QjzPLjjM3gt9aE"
    _ = await ask(Point(tiny=yes()), log, shape=Shape(tools=2, tool_names=("look_up", secret)))
    assert as_object(log.records[0].input["request"])["tool_names"] == ["look_up", "lgw_Qqi41Dwtbh_[redacted]"]


async def test_what_a_redirect_hides_stays_hidden_if_its_target_is_denied() -> None:
    log = Log()
    _ = await refused(Point(fast=yes(model="qwen", redact=["source.ip"])), log, "fast")
    assert [record.allow for record in log.records] == [True, False]
    assert "127.0.0.1" not in str([record.document() for record in log.records])


async def test_what_a_redirect_hides_stays_hidden_in_the_access_line_of_its_refusal() -> None:
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "POST", "/v1/chat/completions")
    with pytest.raises(Refusal):
        await ask(Point(fast=yes(model="qwen", redact=["source.ip"])), Log(), "fast", exchange=exchange)
    assert access_line(exchange, at=0.0)["ip"] == MASK


async def test_what_is_only_foreseen_is_asked_about_and_neither_recorded_nor_permitted() -> None:
    point, log = Point(tiny=yes(capture="metadata"), old=yes(model="tiny")), Log()
    enforcement = Enforcement(point, log, Surroundings({}, {}, zone="UTC"), Abilities())
    principal = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES, ("*",))
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "GET", "/v1/me")
    for model, wanted in (("tiny", "metadata"), ("old", "metadata"), ("none", None)):
        found = await enforcement.foresee(exchange, principal, Asked(Operation.CHAT, Dialect.OPENAI, model), str.lower)
        assert (None if isinstance(found, Denial) else found.capture) == wanted
        assert not (isinstance(found, Denial) and unforeseen(found))
    assert len(point.asked) == 4
    assert (log.records, exchange.permit) == ([], None)


async def test_what_a_yes_hides_is_hidden_in_the_access_line_too_if_its_record_cannot_be_written() -> None:
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "POST", "/v1/chat/completions")
    with pytest.raises(Refusal):
        await ask(Point(tiny=yes(audit=True, redact=["source.ip"])), Log(broken=True), exchange=exchange)
    assert access_line(exchange, at=0.0)["ip"] == MASK


async def test_what_is_foreseen_leaves_the_engine_to_requests() -> None:
    class Slow(Point):
        now = most = 0

        async def ask(self, document: Object) -> Answer:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            self.now -= 1
            return await super().ask(document)

    point = Slow(tiny=yes(capture="metadata"))
    enforcement = Enforcement(point, Log(), Surroundings({}, {}, zone="UTC"), Abilities())
    principal = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES, ("*",))
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "GET", "/v1/me")
    asked = Asked(Operation.CHAT, Dialect.OPENAI, "tiny")
    found = await asyncio.gather(*(enforcement.foresee(exchange, principal, asked, str.lower) for _ in range(96)))
    assert [None if isinstance(each, Denial) else each.capture for each in found] == ["metadata"] * 96
    assert (len(point.asked), point.most) == (96, 2)
