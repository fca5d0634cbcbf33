"""Who administers the gateway has models fetched and deleted by the command line, without a key of their own."""

from __future__ import annotations

import json

from engines.contract import Kind
from policies.json import Object
from tests.system.calls import CHAT
from tests.system.process import until
from tests.system.stocked_engine import SECRET
from tests.system.stocking import ENGINES, Place, Places
from tests.system.wire import Answer, compose


def command(here: Place, *words: str) -> tuple[int, str, str]:
    """`llm-gateway models ...` beside a gateway: exit code, stdout, stderr."""
    host, port = here.gateway.admin
    ended = here.gateway.run("models", *words, "--config", str(here.gateway.file), "--admin", f"{host}:{port}")
    return ended.code, ended.out, ended.err


def remove(here: Place, key: str, document: Object) -> Answer:
    with here.gateway.open(admin=True) as wire:
        return wire.ask(compose("POST", "/models/remove", key, body=document))


@ENGINES
def test_fetch_and_delete(place: Places, kind: Kind) -> None:
    here = place(kind)
    code, out, err = command(here, "pull", "ai/New:Q4")
    assert (code, out) == (0, "ai/New:Q4 is there\n")
    assert "box fetches ai/New:Q4: 100%" in err
    assert here.names() == [here.stocked.models[-1]]
    assert command(here, "pull", "ai/New:Q4")[:2] == (0, "ai/New:Q4 is there\n"), "once more does nothing"
    assert [seen.method for seen in here.engine.requests] == ["POST"]
    assert command(here, "rm", "new:q4") == (0, "box has deleted new:q4\n", "")
    assert [seen.method for seen in here.engine.requests] == ["POST", "DELETE"]
    assert here.names() == []


@ENGINES
def test_an_alias_and_a_preset_mean_their_model(place: Places, kind: Kind) -> None:
    here = place(kind, models={"aliases": {"coder": "ai/new@code"}, "presets": {"8bit": {}}})
    assert command(here, "pull", "coder")[:2] == (0, "coder is there\n")
    assert here.names() == ["coder", "new"]
    assert command(here, "rm", "coder") == (0, "box has deleted new\n", "")
    assert command(here, "pull", "new@8bit")[:2] == (0, "new@8bit is there\n")
    first, _, last = here.engine.requests
    asked = [seen.document.get("model") or seen.document.get("from") for seen in (first, last)]
    assert asked == ["new", "new"], "nothing is fetched that somebody calls so"
    code, _, err = command(here, "rm", "new@8bit")
    assert (code, "name the model alone" in err) == (2, True)
    assert len(here.engine.requests) == 3


def test_what_cannot_be_done_says_why(place: Places) -> None:
    here = place(Kind.OLLAMA, "tiny")
    code, _, err = command(here, "rm", "nowhere")
    assert (code, "no engine has it" in err) == (1, True)
    code, _, err = command(here, "rm", "tiny", "--engine", "other")
    assert (code, "other is no engine that has it and deletes models" in err) == (1, True)
    here.stocked.refuses = 500
    code, _, err = command(here, "rm", "tiny")
    assert (code, "box: The engine failed while answering." in err, SECRET in err) == (1, True, False)
    here.stocked.story = [here.stocked.failing("file does not exist")]
    code, _, err = command(here, "pull", "nothere")
    assert (code, "file does not exist" in err) == (1, True)
    assert command(here, "rm", "not a name")[0] == 2


def test_a_model_in_use_stays(place: Places) -> None:
    here = place(Kind.OLLAMA, "tiny")
    here.stocked.holds = True
    with here.gateway.open() as wire:
        asked: Object = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
        wire.send(compose("POST", CHAT, here.writer.bearer, body=asked))
        here.engine.request()
        code, _, err = command(here, "rm", "tiny")
        assert (code, "The model is in use." in err) == (1, True)
        here.engine.release()
        assert wire.answer().status == 200
    until(lambda: command(here, "rm", "tiny")[0] == 0, 10.0, "it can be deleted afterwards")


def test_the_route_is_for_admins(place: Places) -> None:
    here = place(Kind.OLLAMA, "tiny")
    boss = here.key("boss", "--scope", "admin")
    for name, scopes in (("writer", ()), ("looker", ("--scope", "usage:read"))):
        key = here.writer if name == "writer" else here.key(name, *scopes)
        assert remove(here, key.bearer, {"model": "tiny"}).status == 403
    assert here.engine.requests == []
    wrong = remove(here, boss.bearer, {"model": "tiny", "force": True})
    assert (wrong.status, wrong.error["code"]) == (400, "unknown_parameter")
    told = remove(here, boss.bearer, {"model": "tiny"})
    assert json.loads(told.body) == {"removed": True, "engine": "box", "model": "tiny"}
