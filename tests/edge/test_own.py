"""The gateway's own answers show a caller what it may use, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import orjson
import pytest

from edge import own
from edge.intake.routes import Routes
from edge.limits.contract import MINUTE, Bound, Level, Meter, Seats, Taken
from edge.limits.standing import Filled, Standing
from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model
from policies.errors import Refusal
from policies.json import JSON, Object, as_list, as_object
from policies.obligations import NOTHING, Obligations
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason
from tests.policies import asking

ONE = Engine("one", Kind.OPENAI, "http://127.0.0.1:1", 1)
TWO = Engine("two", Kind.OLLAMA, "http://127.0.0.1:2", 1)
CATALOGUE = Catalogue(
    [(ONE, [Model("qwen", "Qwen", 5), Model("secret", "secret")]), (TWO, [Model("qwen", "Qwen")])],
    {"gpt-4o-mini": "qwen", "hidden": "secret"},
)


def ask(
    path: str,
    *models: str,
    expires_at: float | None = None,
    obligations: Obligations = NOTHING,
    standing: Standing | None = None,
) -> Object:
    principal = Principal("ann", "k1", "n", "key", frozenset({"g"}), DEFAULT_SCOPES, models, expires_at=expires_at)
    route = Routes().match("GET", path)
    assert route is not None
    name = CATALOGUE.meaning(route.model) if route.model else ""
    permit = asking.permit(asking.question(principal, route.operation, name), obligations)
    document: Object = orjson.loads(
        own.answer(permit, route, own.visible(permit, route, CATALOGUE), now=100.0, standing=standing)
    )
    return document


def ids(document: Object) -> list[str]:
    data = document["data"]
    assert isinstance(data, list)
    return [str(entry["id"]) for entry in data if isinstance(entry, dict)]


def test_model_runners_own_listing_has_each_model_once_with_all_its_names() -> None:
    found = listed("/models", "*")
    assert [(each["tags"], each["created"]) for each in found] == [
        (["Qwen", "gpt-4o-mini"], 5),
        (["secret", "hidden"], 0),
    ]
    assert len({str(each["id"]) for each in found}) == 2
    assert [each["tags"] for each in listed("/models", "qwen*")] == [["Qwen", "gpt-4o-mini"]]
    assert listed("/models") == []


@pytest.mark.parametrize("name", ["Qwen", "ai/qwen:latest", "gpt-4o-mini"])
def test_model_runners_own_answer_about_one_model_has_the_callers_name_for_it(name: str) -> None:
    found = ask(f"/models/{name}", "qwen")
    assert found["tags"] == [name]
    assert found["id"] == listed("/models", "qwen")[0]["id"]


@pytest.mark.parametrize("name", ["none", "none/export"])
def test_model_runner_tells_no_hidden_model_from_a_missing_one(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        ask(f"/models/{name}", "*")
    assert refused.value.reason is Reason.MODEL_NOT_PERMITTED


def listed(path: str, *models: str) -> list[Object]:
    return [as_object(each) for each in as_list(cast("JSON", ask(path, *models)))]


def test_models_and_aliases_a_caller_may_use() -> None:
    assert ids(ask("/v1/models", "*")) == ["Qwen", "secret", "gpt-4o-mini", "hidden"]
    assert ids(ask("/v1/models", "qwen*")) == ["Qwen", "gpt-4o-mini"]
    assert ids(ask("/v1/models")) == []


def test_a_listing_shows_what_the_policy_lets_through() -> None:
    only_qwen = Obligations(models=frozenset({"qwen", "elsewhere"}))
    assert ids(ask("/v1/models", "*", obligations=only_qwen)) == ["Qwen", "gpt-4o-mini"]
    assert ask("/v1/me", "*", obligations=only_qwen)["models"] == ["Qwen", "gpt-4o-mini"]
    assert ids(ask("/v1/models", "secret", obligations=only_qwen)) == []


def test_the_policy_is_asked_about_what_a_caller_could_see_at_all() -> None:
    principal = Principal("ann", "k1", "n", "key", frozenset(), DEFAULT_SCOPES, ("sec*",))
    assert own.candidates(principal, CATALOGUE) == ("secret",)


def test_the_models_of_one_engine() -> None:
    assert ids(ask("/engines/two/v1/models", "*")) == ["Qwen", "gpt-4o-mini"]
    assert ids(ask("/engines/nobody/v1/models", "*")) == []


@pytest.mark.parametrize("name", ["Qwen", "qwen", "ai/Qwen:latest", "gpt-4o-mini"])
def test_one_model_by_any_of_its_names(name: str) -> None:
    assert ask(f"/v1/models/{name}", "*") == {"id": name, "object": "model", "created": 5, "owned_by": "one"}


def test_a_model_that_only_another_engine_has() -> None:
    with pytest.raises(Refusal):
        ask("/engines/two/v1/models/secret", "*")


def test_me() -> None:
    me = ask("/v1/me", "qwen*", expires_at=160.4)
    assert (me["id"], me["key_id"], me["groups"], me["models"]) == ("ann", "k1", ["g"], ["Qwen", "gpt-4o-mini"])
    assert me["expires_in"] == 60
    assert me["scopes"] == ["inference", "models:read"]


def test_me_says_what_is_left_of_windows_and_seats_and_of_single_models_by_the_names_it_lists() -> None:
    level = Level(Bound("key:k1", Meter.REQUESTS, MINUTE, 5, name="key n"), 2, 20_400)
    seats = Taken(Seats("owner:ann", 4, name="four"), 5)
    known = Standing(Filled((level,), (seats,)), (("qwen", Filled((), (Taken(Seats("m", 1, name="big"), 0),))),), 7)
    limits = as_object(ask("/v1/me", "*", standing=known)["limits"])
    assert limits["windows"] == [
        {
            "name": "key n",
            "of": "requests",
            "per": "minute",
            "limit": 5,
            "used": 2,
            "remaining": 3,
            "reset_seconds": 21,
            "shadow": False,
        }
    ]
    assert limits["seats"] == [{"name": "four", "limit": 4, "in_use": 5, "remaining": 0, "shadow": False}]
    big = {"name": "big", "limit": 1, "in_use": 0, "remaining": 1, "shadow": False}
    assert limits["models"] == [{"model": "Qwen", "windows": [], "seats": [big]}]
    assert (limits["models_left_out"], limits["note"]) == (7, None)


def test_me_says_so_when_nobody_knows_what_is_left() -> None:
    limits = as_object(ask("/v1/me", "*")["limits"])
    assert [limits[name] for name in ("windows", "seats", "models", "models_left_out")] == [None] * 4
    assert "not known" in str(limits["note"])


def ollama(method: str, path: str, *models: str, name: str = "", left: Callable[[str], float] | None = None) -> Object:
    principal = Principal("ann", "k1", "n", "key", frozenset(), DEFAULT_SCOPES, models)
    route = Routes().match(method, path)
    assert route is not None
    route = replace(route, model=name)
    permit = asking.permit(asking.question(principal, route.operation, CATALOGUE.meaning(name) if name else ""))
    seen = own.visible(permit, route, CATALOGUE)
    document: Object = orjson.loads(own.answer(permit, route, seen, now=100.0, left=left or (lambda _: 0.0)))
    return document


def named(document: Object) -> list[str]:
    return [str(as_object(entry)["name"]) for entry in as_list(document["models"])]


def test_ollamas_listings_show_what_a_caller_may_use() -> None:
    assert named(ollama("GET", "/api/tags", "*")) == ["Qwen", "secret", "gpt-4o-mini", "hidden"]
    assert named(ollama("GET", "/api/tags", "qwen*")) == ["Qwen", "gpt-4o-mini"]
    assert named(ollama("GET", "/api/ps", "*")) == []
    assert named(ollama("GET", "/api/ps", "qwen", left=lambda _: 9.0)) == ["Qwen", "gpt-4o-mini"]


def test_ollamas_page_of_one_model_has_the_name_that_was_asked_for() -> None:
    document = ollama("POST", "/api/show", "*", name="ai/Qwen:latest")
    assert as_object(document["model_info"])["general.basename"] == "ai/Qwen:latest"
    with pytest.raises(Refusal):
        ollama("POST", "/api/show", "*", name="elsewhere")


def test_what_ollama_says_of_itself_is_no_page_about_the_caller() -> None:
    assert set(ollama("GET", "/api/version")) == {"version"}
    route = Routes().match("HEAD", "/")
    assert route is not None
    permit = asking.permit(
        asking.question(Principal("a", "k", "n", "key", frozenset(), DEFAULT_SCOPES), route.operation, "")
    )
    assert own.answer(permit, route, [], now=0.0) == b"Ollama is running"
    assert own.media_type(route).startswith("text/plain")
    assert not own.tells_who(route)
