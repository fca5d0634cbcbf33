"""A real browser: pages of a listed origin talk to the gateway, refusals included; those of others read nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from policies.json import JSON
from tests.system.browser import Site, visiting
from tests.system.calls import ASKED, CHAT, chat
from tests.system.conftest import Launch
from tests.system.process import Gateway
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always, behave

SCRIPT: Final = """
const url = %(url)s, path = %(path)s, body = %(body)s;
const call = (key, more) => fetch(url + path, {
  method: "POST", body: JSON.stringify({...body, ...more}),
  headers: {"content-type": "application/json", "authorization": "Bearer " + key,
            "x-stainless-lang": "js", "anthropic-dangerous-direct-browser-access": "true"},
});
const good = await call(%(key)s, {});
const whole = await good.json();
const refused = await call("nonsense", {});
const why = (await refused.json()).error.code;

const streaming = await call(%(key)s, {stream: true});
const reader = streaming.body.getReader(), decoder = new TextDecoder();
let text = "", blocks = 0;
for (;;) {
  const {done, value} = await reader.read();
  if (done) break;
  blocks += 1;
  text += decoder.decode(value, {stream: true});
  if (blocks === 1) await tell({begun: text.length > 0});
}
return {status: good.status, model: whole.model, id: good.headers.get("x-request-id"),
        refused: refused.status, why, ended: text.includes("[DONE]"), blocks};
"""


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    with ExitStack() as stack:
        yield stack.enter_context(Site().running()), stack.enter_context(Site().running())


def script(gateway: Gateway, key: str) -> str:
    host, port = gateway.address
    said: dict[str, JSON] = {"url": f"http://{host}:{port}", "path": CHAT, "body": chat(), "key": key}
    return SCRIPT % {name: json.dumps(value) for name, value in said.items()}


def test_pages_of_a_listed_origin_and_of_another_one(
    launch: Launch, engine: RecordingEngine, sites: tuple[Site, Site], tmp_path: Path
) -> None:
    mine, other = sites
    gateway = launch(listener={"cors": {"origins": [mine.origin]}})
    key = gateway.create_key("page")
    begun = Stream().until(2)
    engine.play(behave, always(*begun, Hold(), *Stream().steps()[len(begun) :]))
    with visiting(mine, tmp_path / "mine", script(gateway, key.secret)) as said:
        assert said() == {"begun": True}  # while the engine has more to say
        engine.release()
        found = said()
    assert found.pop("blocks") != 0
    assert len(str(found.pop("id"))) == 32
    assert found == {"status": 200, "model": ASKED, "refused": 401, "why": "invalid_credential", "ended": True}

    engine.forget()
    with visiting(other, tmp_path / "other", script(gateway, key.secret)) as said:
        assert "TypeError" in str(said()["threw"])
    assert engine.requests == []  # the browser asked whether it may, and then did not
