"""Files of one package as one module: the same answers in every order, and the right file and row in every finding."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest

from policies.bundle import Bundle
from policies.embedded.rego import Policy, RegoError
from policies.embedded.weld import weld
from policies.embedded.workshop import inspect
from tests.policies.embedded.policies_for_tests import HEAD, OPA

# What is left of a real policy that regorus 0.13 gets wrong: as two files, the second one loaded first, the decision
# is undefined when another package asks for it.
DECISION = """package gateway.authz

decision := {"allow": allow, "reasons": reasons, "obligations": obligations, "grants": {g.id | some g in matching}}

default allow := false

default permitted := false

who contains "everyone"

addressed := {i |
	some i, g in data.gwcfg.grants
	some name in who
	g.subjects[name]
}

mine := [g | some i in sort(addressed); g := data.gwcfg.grants[i]]

here := [g | some g in mine; g.place]

now := [g | some g in here; g.hour]

matching := [g | some g in now; g.model]

default tools_ok := false

deny contains {"code": "tools_not_allowed"} if {
	permitted
	not tools_ok
}

reasons contains reason if some reason in deny
"""
OBLIGATIONS = """package gateway.authz

import data.gwcfg

obligations["model"] := target if {
	allow
	target != input.model.resolved
	about_a_model
}

target := gwcfg.target

about_a_model if not input.operation in {"me", "models.list"}
"""
ASKING = "package gateway.asking\n\nimport data.gateway.authz\n\ndecided := v if {\n\tv := authz.decision\n}\n"
FILES = {"a.rego": DECISION, "b.rego": OBLIGATIONS, "c.rego": ASKING}


@pytest.mark.parametrize("names", list(itertools.permutations(FILES)))
@pytest.mark.parametrize("backwards", [False, True])
def test_the_order_of_files_does_not_matter(names: tuple[str, ...], backwards: bool, tmp_path: Path) -> None:
    texts = {f"{index}.rego": FILES[name] for index, name in enumerate(names)}
    policy = Policy(texts, {}, backwards=backwards)
    value = policy.value("{}", "data.gateway.asking.decided")
    assert value is not None
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    command = [str(OPA), "eval", "--format", "raw", "--data", str(tmp_path), "data.gateway.asking.decided"]
    assert json.loads(value) == json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_errors_name_the_file_and_the_row_in_it() -> None:
    files = {
        "a.rego": HEAD + "decision := f(input)\n",
        "b.rego": HEAD + "import data.gwcfg\n\nf(x) := 1 +\n\tcount(x)\n",
    }
    policy = Policy(files, {})
    assert policy.value("[1]") == "2"
    with pytest.raises(RegoError) as fault:
        policy.value("1")
    assert (fault.value.file, fault.value.row) == ("b.rego", 6)
    with pytest.raises(RegoError) as broken:
        Policy({**files, "c.rego": HEAD + "# é\n\nx := (\n"}, {})
    assert (broken.value.file, broken.value.row) == ("c.rego", 6)


def test_every_row_of_the_whole_is_a_row_of_a_file() -> None:
    (module,) = weld({"a.rego": DECISION, "b.rego": OBLIGATIONS})
    for row, line in enumerate(module.text.split("\n"), start=1):
        file, origin = module.origin(row)
        lines = FILES[file].split("\n")
        if line.strip() and row > 2:
            assert lines[origin - 1] == line


CLASHES = [
    ("import data.gwcfg.a as x\n\ny := x\n", "import data.gwcfg.b as x\n\nz := x\n"),
    ("import data.gwcfg.a as x\n\ny := x\n", "x := 1\n"),
    ("import data.gwcfg.grants\n\ny := grants\n", "z if some grants in input\n"),
]


@pytest.mark.parametrize(("one", "other"), CLASHES)
def test_files_whose_imports_would_mean_something_else_stay_apart(one: str, other: str) -> None:
    files = {"a.rego": HEAD + one, "b.rego": HEAD + other}
    assert [(module.name, module.text) for module in weld(files)] == list(files.items())


def test_what_has_no_plain_head_stays_as_it_is() -> None:
    odd = {"a.rego": 'package gateway["authz"]\n\nx := 1\n', "b.rego": "x := 1\n", "c.rego": HEAD + "y := 1\n"}
    assert {module.name: module.text for module in weld(odd)} == odd


def test_a_text_that_looks_like_a_head_further_down_is_left_alone() -> None:
    raw = HEAD + "x := `\npackage gateway.other\nimport data.gwcfg\n`\n"
    policy = Policy({"a.rego": raw, "b.rego": HEAD + "decision := x\n"}, {})
    assert policy.value("{}") == '"\\npackage gateway.other\\nimport data.gwcfg\\n"'


def test_an_import_in_a_form_that_is_not_read_stays_where_it_is() -> None:
    odd = 'package gateway.authz\n\nimport data["gwcfg"].z as w\n\nx := w\n'
    texts = {"a.rego": "package gateway.authz\n\nimported_models := 1\n", "b.rego": odd}
    assert [module.name for module in weld(texts)] == ["a.rego", "b.rego"]
    assert len(weld({**texts, "b.rego": odd.replace('["gwcfg"]', ".gwcfg")})) == 1


async def test_what_cannot_be_welded_and_depends_on_the_order_is_refused() -> None:
    inner = {
        "b.rego": DECISION.replace("gateway.authz", "gateway.inner"),
        "a.rego": OBLIGATIONS.replace("gateway.authz", "gateway.inner").replace("data.gwcfg\n", "data.gwcfg as who\n"),
    }
    inner["a.rego"] = inner["a.rego"].replace("gwcfg.target", "who.target")
    entry = {"c.rego": "package gateway.authz\n\nimport data.gateway.inner\n\ndecision := inner.decision\n"}
    assert len(weld({**inner, **entry})) == 3
    inspection = await inspect(Bundle({**inner, **entry}))
    codes = {problem.code for problem in inspection.problems}
    assert codes & {"order_dependent", "undefined_decision"}
    together = {"b.rego": inner["b.rego"] + inner["a.rego"].partition("as who\n")[2].replace("who.t", "data.gwcfg.t")}
    assert (await inspect(Bundle({**together, **entry}))).ok
