"""Whether Redis answers is in `/metrics`, for gateways that have one."""

from __future__ import annotations

from tests.edge.limits.redis_server import RedisServer
from tests.system.calls import CHAT, chat
from tests.system.conftest import Launch
from tests.system.process import until


def test_a_redis_that_is_away_is_seen_and_so_is_its_return(launch: Launch, redis: RedisServer) -> None:
    gateway = launch(stores={"redis": redis.url}, limits={"classes": {"default": {"rpm": 1000}}})
    scraper, key = gateway.create_key("scraper", "--scope", "metrics:read"), gateway.create_key("ann")

    def up(expected: int) -> bool:
        page = gateway.get("/metrics", scraper.bearer, admin=True).body.decode()
        return f"\nllm_gateway_redis_up {expected}\n" in page

    until(lambda: up(1), 10.0, "Redis answers")
    redis.freeze()
    assert gateway.post(CHAT, chat(), key.bearer).status == 200
    until(lambda: up(0), 10.0, "the request has found out")
    redis.thaw()
    until(lambda: up(1), 20.0, "it is back")


def test_a_gateway_without_redis_says_nothing_of_it(launch: Launch) -> None:
    gateway = launch()
    scraper = gateway.create_key("scraper", "--scope", "metrics:read")
    assert b"llm_gateway_redis_up{" not in gateway.get("/metrics", scraper.bearer, admin=True).body
    assert b"\nllm_gateway_redis_up " not in gateway.get("/metrics", scraper.bearer, admin=True).body
