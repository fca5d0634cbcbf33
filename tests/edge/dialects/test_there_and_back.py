"""A request into the internal form and back into its dialect means what it meant, in whichever words it was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.intake.intake import read_call
from edge.intake.routes import Routes
from edge.intake.strict_json import parse
from policies.call import Call
from policies.json import Object
from tests.edge.dialects import saying
from tests.edge.dialects.meaning import SETTINGS, meaning_of, meanings

_SHARED: Final = ("stream", "temperature", "top_p", "schema")
_TOOLS: Final = ("tool_choice", "parallel_tool_calls")


class Dialect(NamedTuple):
    """Where it is spoken, how a meaning is said in it, and what it can say."""

    path: str
    say: Callable[[Object, saying.Vary], Object]
    settings: tuple[str, ...]
    mixed: bool = True


DIALECTS: Final = {
    "openai": Dialect("/v1/chat/completions", saying.openai, tuple(SETTINGS)),
    "anthropic": Dialect(
        "/v1/messages",
        saying.anthropic,
        (*_SHARED, "top_k", "stop", "user", "enable_thinking", "reasoning_effort", *_TOOLS),
    ),
    "responses": Dialect(
        "/v1/responses",
        saying.responses,
        (*_SHARED, "max_tokens", "user", "reasoning_effort", "top_logprobs", *_TOOLS),
    ),
    "ollama": Dialect(
        "/api/chat",
        saying.ollama,
        (*_SHARED, "max_tokens", "top_k", "min_p", "seed", "presence_penalty", "stop", "top_logprobs"),
        mixed=False,
    ),
}


def read(dialect: Dialect, request: Object) -> Call:
    route = Routes().match("POST", dialect.path)
    assert route is not None
    return read_call(route, parse(orjson.dumps(request)))


def plainly() -> bool:
    return False


@pytest.mark.parametrize("name", DIALECTS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_request_there_and_back_means_what_it_meant(name: str, data: st.DataObject) -> None:
    dialect = DIALECTS[name]
    meaning = data.draw(meanings(dialect.settings, mixed=dialect.mixed))
    chosen = meaning["settings"]
    assert isinstance(chosen, dict)
    if name == "anthropic":
        chosen.setdefault("max_tokens", 7)
        if "parallel_tool_calls" in chosen:
            chosen.setdefault("tool_choice", "auto")  # one field says both
    if name == "ollama":  # one field says either
        one = data.draw(st.sampled_from(["", "enable_thinking", "reasoning_effort"]))
        chosen |= {one: data.draw(SETTINGS[one])} if one else {}
    request = dialect.say(meaning, lambda: data.draw(st.booleans()))
    there = read(dialect, request)
    assert meaning_of(there) == meaning
    back = dialect.say(meaning_of(there), plainly)
    assert back == dialect.say(meaning, plainly)
    again = read(dialect, back)
    assert meaning_of(again) == meaning
    assert not there.ignored
