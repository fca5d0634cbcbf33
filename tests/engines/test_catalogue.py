"""Names: every spelling of a model leads to the one target that rules were matched against, or to nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.listings import named
from engines.catalogue import Catalogue, Offer
from engines.contract import Engine, Kind, Model
from policies.names import canonical, is_name


def engine(name: str, kind: Kind = Kind.OPENAI) -> Engine:
    return Engine(name, kind, f"http://{name}:1", 1)


def offer(name: str, *ids: str, kind: Kind = Kind.OPENAI) -> Offer:
    return engine(name, kind), [model for i in ids if (model := named(i)) is not None]


def ids(catalogue: Catalogue, name: str, hint: str | None = None) -> list[tuple[str, str]]:
    return [(t.engine.name, t.model.id) for t in catalogue.resolve(name, hint)]


def test_every_engine_that_serves_a_model_in_configured_order() -> None:
    catalogue = Catalogue([offer("b", "ai/Llama3:latest"), offer("a", "llama3:latest", "other")])
    expected = [("b", "ai/Llama3:latest"), ("a", "llama3:latest")]
    for spelling in ("llama3", "LLAMA3", "llama3:latest", "ai/llama3", "registry.ollama.ai/library/llama3"):
        assert ids(catalogue, spelling) == expected


def test_unknown_and_impossible_names_resolve_to_nothing() -> None:
    catalogue = Catalogue([offer("a", "llama3")])
    for name in ("llama4", "", " llama3", "llama3 ", "lla\u212aa3", "../llama3", "/etc/passwd", "x" * 5000, "llama3\n"):
        assert catalogue.resolve(name) == ()


def test_image_ids_are_names_only_when_listed() -> None:
    digest = "sha256:" + "ab" * 32
    assert Catalogue([offer("d", "ai/smollm2")]).resolve(digest) == ()
    assert Catalogue([offer("d", "ai/smollm2")]).resolve("ab" * 32) == ()
    assert ids(Catalogue([offer("d", digest)]), digest) == [("d", digest)]


def test_two_models_of_one_engine_on_one_name_are_both_left_out_and_reported() -> None:
    catalogue = Catalogue([offer("a", "Llama3", "llama3:latest", "fine"), offer("b", "llama3")])
    assert ids(catalogue, "llama3") == [("b", "llama3")]
    assert ids(catalogue, "fine") == [("a", "fine")]
    assert catalogue.problems == ("engine a: two models share the name llama3; both are left out",)


def test_the_same_model_twice_is_one() -> None:
    catalogue = Catalogue([offer("a", "m", "m")])
    assert ids(catalogue, "m") == [("a", "m")]
    assert catalogue.problems == ()


def test_a_third_spelling_does_not_bring_an_ambiguous_name_back() -> None:
    assert Catalogue([offer("a", "M", "m", "m:latest")]).resolve("m") == ()


def test_models_without_a_canonical_name_are_left_out() -> None:
    catalogue = Catalogue([(engine("a"), [Model("Big", "Big"), Model("", "x"), Model("a b", "y"), Model("ok", "z")])])
    assert [entry.name for entry in catalogue.models()] == ["ok"]
    assert len(catalogue.problems) == 3


def test_an_alias_leads_to_its_model_under_the_models_name() -> None:
    catalogue = Catalogue([offer("a", "ai/llama3")], {"GPT-4o-mini": "llama3"})
    (target,) = catalogue.resolve("gpt-4o-MINI")
    assert (target.model.name, target.model.id) == ("llama3", "ai/llama3")
    (entry,) = catalogue.aliases()
    assert (entry.id, entry.name) == ("GPT-4o-mini", "llama3")


def test_an_alias_wins_over_a_model_that_an_engine_calls_so() -> None:
    catalogue = Catalogue([offer("a", "good", "fast")], {"fast": "good"})
    assert ids(catalogue, "fast") == [("a", "good")]
    assert [entry.name for entry in catalogue.models()] == ["good"]
    assert catalogue.problems == ("alias fast: hides a model of that name",)


def test_aliases_of_aliases_are_left_out() -> None:
    catalogue = Catalogue([offer("a", "m")], {"one": "two", "two": "m", "x": "y", "y": "x", "me": "ME"})
    assert catalogue.resolve("one") == ()
    assert ids(catalogue, "two") == [("a", "m")]
    assert catalogue.resolve("x") == catalogue.resolve("y") == catalogue.resolve("me") == ()
    assert len(catalogue.problems) == 4


def test_an_alias_given_twice() -> None:
    catalogue = Catalogue([offer("a", "m", "n")], {"x": "m", "X": "n"})
    assert ids(catalogue, "x") == [("a", "m")]
    assert len(catalogue.problems) == 1


def test_an_alias_of_a_missing_model_is_not_listed() -> None:
    catalogue = Catalogue([], {"x": "m"})
    assert catalogue.resolve("x") == ()
    assert catalogue.aliases() == ()


def test_hints() -> None:
    catalogue = Catalogue(
        [offer("dmr", "m", kind=Kind.DOCKER_MODEL_RUNNER), offer("vllm", "m", "n", kind=Kind.VLLM)], {"x": "m"}
    )
    assert ids(catalogue, "m", "dmr") == [("dmr", "m")]
    assert ids(catalogue, "x", "llama.cpp") == [("dmr", "m")]
    assert ids(catalogue, "m", "vllm") == [("vllm", "m")]  # an engine's name before a backend's
    assert ids(catalogue, "n", "llama.cpp") == []
    assert ids(catalogue, "m", "nobody") == []


def test_what_a_listing_shows() -> None:
    catalogue = Catalogue(
        [
            (engine("a"), [Model("m", "ai/M", 5, 100), Model("tiny", "default_model"), Model("f.gguf", "/srv/f.gguf")]),
            (engine("b"), [Model("m", "M:latest", 7, 50)]),
        ]
    )
    shown = {entry.name: (entry.id, entry.engines, entry.created, entry.context) for entry in catalogue.models()}
    assert shown == {
        "m": ("m", ("a", "b"), 7, 50),
        "tiny": ("tiny", ("a",), 0, None),
        "f.gguf": ("f.gguf", ("a",), 0, None),
    }
    assert Catalogue([offer("a", "ai/Qwen3:8B")]).models()[0].id == "ai/Qwen3:8B"


NAMES = st.from_regex(r"(ai/|library/|hf\.co/|docker\.io/)?[a-bA-B0-1](/[ab])?(:latest|:x)?", fullmatch=True)
SPELLING = st.sampled_from([str, str.upper, str.lower, lambda n: n + ":latest", lambda n: "ai/" + n])


@given(
    offers=st.lists(st.lists(NAMES, max_size=4), max_size=3),
    aliases=st.dictionaries(NAMES, NAMES, max_size=3),
    asked=NAMES | st.text(max_size=8),
    spell=SPELLING,
)
def test_spelling_never_changes_what_is_decided_on(
    offers: list[list[str]], aliases: dict[str, str], asked: str, spell: object
) -> None:
    catalogue = Catalogue([offer(f"e{i}", *names) for i, names in enumerate(offers)], aliases)
    found = catalogue.resolve(asked)
    names = {target.model.name for target in found}
    assert len(names) <= 1  # one name for the rule to judge, whichever engine is taken
    assert all(is_name(name) and canonical(name) == name for name in names)
    assert len({target.engine for target in found}) == len(found)
    assert callable(spell)
    other = spell(asked)
    if is_name(asked) and is_name(other) and canonical(other) == canonical(asked):
        assert catalogue.resolve(other) == found
    if found and canonical(asked) not in {canonical(alias) for alias in aliases}:
        assert names == {canonical(asked)}


@given(offers=st.lists(st.lists(NAMES, max_size=4), max_size=3), aliases=st.dictionaries(NAMES, NAMES, max_size=3))
def test_what_is_listed_can_be_asked_for(offers: list[list[str]], aliases: dict[str, str]) -> None:
    catalogue = Catalogue([offer(f"e{i}", *names) for i, names in enumerate(offers)], aliases)
    for entry in (*catalogue.models(), *catalogue.aliases()):
        found = catalogue.resolve(entry.id)
        assert {target.model.name for target in found} == {entry.name}
        assert tuple(target.engine.name for target in found) == entry.engines


PRESETS = frozenset({"code", "chat"})


def test_a_preset_is_no_part_of_the_name() -> None:
    catalogue = Catalogue([offer("a", "ai/Llama3.2")], {"small": "llama3.2"}, PRESETS)
    for name in (
        "llama3.2@code",
        "AI/Llama3.2:latest@CODE",
        "llama3.2@code:latest",
        "small@code",
        "llama3.2@chat@code",
    ):
        assert catalogue.named(name)[:2] == ("llama3.2", "code"), name
        assert ids(catalogue, name) == [("a", "ai/Llama3.2")]
    assert catalogue.named("llama3.2")[:2] == ("llama3.2", "")


def test_what_is_no_preset_belongs_to_the_name() -> None:
    catalogue = Catalogue([offer("a", "foo@q4_k_m", "foo")], {}, PRESETS)
    assert catalogue.named("foo@q4_k_m")[:2] == ("foo@q4_k_m", "")
    assert catalogue.named("foo@q4_k_m@code")[:2] == ("foo@q4_k_m", "code")
    assert catalogue.named("foo@coed")[:2] == ("foo@coed", "")
    assert catalogue.resolve("foo@coed") == ()
    assert catalogue.named("@code")[:2] == ("@code", "")


def test_an_engine_takes_no_preset_over_by_listing_a_model_of_that_name() -> None:
    catalogue = Catalogue([offer("a", "foo"), offer("b", "foo@code", "bar@chat")], {}, PRESETS)
    assert ids(catalogue, "foo@code") == [("a", "foo")]
    assert catalogue.resolve("bar@chat") == ()
    assert [entry.id for entry in catalogue.models()] == ["foo"]
    assert sum("ends in a preset's" in problem for problem in catalogue.problems) == 2
    assert ids(catalogue.with_presets({"code"}), "bar@chat") == [("b", "bar@chat")]


def test_an_alias_of_that_name_comes_before_the_preset() -> None:
    catalogue = Catalogue([offer("a", "foo", "bar")], {"foo@chat": "bar"}, PRESETS)
    assert catalogue.named("foo@chat")[:2] == ("bar", "")
    assert catalogue.named("foo@chat@code")[:2] == ("bar", "code")


def test_an_alias_may_name_a_preset_and_its_caller_another_one() -> None:
    catalogue = Catalogue([offer("a", "qwen3")], {"coder": "ai/Qwen3@code", "next": "coder@chat"}, PRESETS)
    assert catalogue.named("coder")[:2] == ("qwen3", "code")
    assert catalogue.named("Coder@chat") == ("qwen3", "chat", "coder")
    assert [entry.id for entry in catalogue.aliases()] == ["coder"]
    assert any("next" in problem for problem in catalogue.problems)  # one hop only, preset or not


def test_presets_can_change_under_the_same_offers() -> None:
    before = Catalogue([offer("a", "m")], {"coder": "m@mine"})
    assert before.resolve("coder") == ()
    after = before.with_presets({"mine"})
    assert after.named("coder")[:2] == ("m", "mine")
    assert ids(after, "m@mine") == ids(before, "m")
    assert before.named("m@mine")[:2] == ("m@mine", "")


def test_whoever_may_use_a_model_gets_it_by_its_own_name_whatever_that_means_to_others() -> None:
    catalogue = Catalogue([offer("a", "foo", "bar"), offer("b", "bar")], {"bar": "foo"}, PRESETS)
    assert ids(catalogue, "bar") == [("a", "foo")]
    assert [target.engine.name for target in catalogue.having("bar")] == ["a", "b"]
    assert [target.engine.name for target in catalogue.having("bar", "b")] == ["b"]
    assert catalogue.having("foo@code") == ()


SUFFIXED = st.builds("@".join, st.lists(st.sampled_from(["a", "B:latest", "ai/a", "code", "Chat", "q4"]), max_size=4))


@given(
    offers=st.lists(SUFFIXED, max_size=4),
    aliases=st.dictionaries(SUFFIXED, SUFFIXED, max_size=3),
    asked=SUFFIXED,
)
def test_no_preset_leads_to_a_model_that_was_not_decided_on(
    offers: list[str], aliases: dict[str, str], asked: str
) -> None:
    catalogue = Catalogue([offer("a", *offers)], aliases, PRESETS)
    model = catalogue.named(asked).model
    assert catalogue.meaning(model) == model
    assert {target.model.name for target in catalogue.resolve(asked)} <= {model}
    assert catalogue.resolve(asked) == (catalogue.resolve(model) if is_name(asked) else ())
