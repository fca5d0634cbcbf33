"""A candidate beside the live policy of a real gateway: it sees what comes in, nobody hears it, and it ends."""

from __future__ import annotations

from pathlib import Path

from policies.json import Object, as_count, as_list, as_object, as_str
from tests.system.calls import CHAT, chat
from tests.system.conftest import Launch
from tests.system.process import Gateway, until
from tests.system.test_policy_fleet import CLOSED
from tests.system.wire import loads


def policy(gateway: Gateway, *arguments: str) -> Object:
    """What `llm-gateway policy ... --json` prints."""
    ended = gateway.run("policy", *arguments, "--json", "--config", str(gateway.file))
    assert ended.code == 0, ended.err
    return loads(ended.out)


def test_a_shadow_counts_live_traffic_and_nobody_hears_it(launch: Launch, tmp_path: Path) -> None:
    gateway = launch(policy={"engine": "embedded"})
    key = gateway.create_key("dev")
    policy(gateway, "init", str(tmp_path / "draft"))
    (tmp_path / "draft" / "closed.rego").write_text(CLOSED)
    policy(gateway, "shadow", "start", str(tmp_path / "draft"))
    assert gateway.err.find(lambda line: "runs beside the live one" in line, 20.0), gateway.err.text
    answered: set[str] = set()
    counters: Object = {}

    def flipped() -> bool:
        answer = gateway.post(CHAT, chat(), key.bearer)
        assert answer.status == 200
        answered.add(answer.head.get("x-request-id") or "none")
        counters.update(as_object(as_object(policy(gateway, "shadow", "status")["shadow"])["counters"]))
        return bool(as_count(as_object(counters.get("flips")).get("allow->deny")))

    until(flipped, 30.0, "the shadow counted what it would have denied")
    examples = [as_object(each) for each in as_list(counters["examples"])]
    assert {as_str(each["id"]) for each in examples} <= answered
    assert examples[0]["after"] == ["closed"]
    explained = policy(gateway, "explain", as_str(examples[0]["id"]))
    assert explained["allow"] is True
    policy(gateway, "shadow", "stop")
    assert policy(gateway, "shadow", "status")["shadow"] is None
