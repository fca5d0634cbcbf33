"""The workshop with real children: whatever a policy does there, there is an answer in time."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import orjson
import psutil
import pytest

from policies.bundle import Bundle
from policies.embedded import workshop
from policies.embedded.findings import ScratchLimits
from policies.embedded.sizes import MAX_FILE
from policies.embedded.workshop import Evaluator, Inspection, WorkshopError, run_tests
from policies.engine import PolicyEngineDown, PolicyFault
from tests.policies.embedded.policies_for_tests import (
    DATA,
    HEAD,
    OPA,
    PLAIN,
    SHORT,
    allowing,
    bundle,
    question,
)

RUNAWAY = "count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a == b]) > 1"


async def inspected(text: str, **more: str) -> Inspection:
    return await workshop.inspect(bundle(text, **more), limits=SHORT)


def codes(inspection: Inspection) -> set[str]:
    return {problem.code for problem in inspection.problems}


# ---------------------------------------------------------------- inspect


async def test_a_good_policy_has_no_problems_and_says_what_it_reads() -> None:
    inspection = await inspected(PLAIN)
    assert inspection.problems == ()
    assert inspection.ok
    assert inspection.reads.paths == (("caller", "id"), ("model", "resolved"), ("v",))


async def test_several_syntax_errors_each_say_where() -> None:
    inspection = await inspected(HEAD + 'decision := {\n\t"a": ,\n}\n', other=HEAD + "x := (\n")
    assert not inspection.ok
    assert [(p.file, p.row, p.column, p.code) for p in inspection.problems] == [
        ("access.rego", 4, 7, "syntax_error"),
        ("other.rego", 4, 1, "syntax_error"),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            f'{HEAD}decision := {{"allow": allow}}\n\nallow if input.v == 1\n\ndefault allow := true\n',
            "missing_default",
        ),
        (HEAD + 'decision := {"allow": true}\n', "allows_nonsense"),
        (HEAD + 'decision := {"allow": false} if input.v == 1\n', "undefined_decision"),
        (HEAD + 'decision := "<undefined>"\n', "undefined_decision"),
        (HEAD + 'decision := "yes"\n', "wrong_result"),
        (HEAD + 'decision := {"allow": "no"}\n', "wrong_result"),
        (HEAD + 'decision := {"allow": false}\n\ndecision := {"allow": 1} if not input.v\n', "fails_when_empty"),
        (allowing('input.operation != "chat"', ""), "allows_nonsense"),
        (allowing("input.caller.id == input.key.id"), "allows_nonsense"),
        (allowing('regex.match(input.key.patterns[_], "<undefined>")'), "allows_nonsense"),
        (allowing('regex.match("(", input.model.resolved)'), "bad_pattern"),
    ],
)
async def test_what_running_it_shows(text: str, code: str) -> None:
    inspection = await inspected(text)
    assert not inspection.ok
    found = [problem for problem in inspection.problems if problem.code == code]
    assert found
    assert found[0].file == "access.rego"
    assert found[0].row > 0


async def test_data_without_grants_is_tried_too() -> None:
    text = allowing("input.v == 1", "") + "\nallow if not data.gwcfg.models\n"
    inspection = await inspected(text)
    assert "allows_nonsense" in codes(inspection)
    assert any("without data" in problem.message for problem in inspection.problems)


async def test_a_policy_that_loops_is_a_problem_with_a_place() -> None:
    inspection = await inspected(allowing(RUNAWAY.replace("> 1", "> 1; input.v == 1")))
    assert [(p.code, p.file, p.row) for p in inspection.problems] == [("runs_away", "access.rego", 3)]
    assert "took longer than" in inspection.problems[0].message


async def test_recursion_is_seen_before_it_is_run() -> None:
    inspection = await inspected(HEAD + 'f(x) := f([x])\n\ndecision := {"allow": f(1)}\n')
    assert codes(inspection) == {"recursive"}


HOARD = """
t := [concat("", words) | some a in numbers.range(1, 1000000)]

words := [sprintf("%v", [b]) | some b in numbers.range(1, 20000)]
"""


async def test_an_allocation_without_end_is_a_problem() -> None:
    limits = ScratchLimits(seconds=20, memory_bytes=256 << 20, decision_seconds=4)
    inspection = await workshop.inspect(bundle(allowing("count(t) > 1", HOARD)), limits=limits)
    assert codes(inspection) == {"runs_away"}


async def test_fifty_megabytes_are_refused_at_once() -> None:
    started = time.monotonic()
    inspection = await workshop.inspect(
        Bundle({"a.rego": "package gateway.authz\n" + "# x\n" * 13_000_000}), limits=SHORT
    )
    assert "too_large" in codes(inspection)
    assert not inspection.ok
    assert inspection.reads.whole
    inspection = await workshop.inspect(replace(bundle(), data={"x": "y" * 50_000_000}), limits=SHORT)
    assert codes(inspection) == {"too_large"}
    assert time.monotonic() - started < 5


async def test_the_largest_file_is_still_looked_into() -> None:
    rules = "".join(f'rule_{n} if input.caller.id == "{n}"\n\n' for n in range(3_200))
    assert MAX_FILE * 0.8 < len(rules) < MAX_FILE
    limits = ScratchLimits(seconds=60)
    inspection = await workshop.inspect(bundle(PLAIN, large=HEAD + rules), limits=limits)
    assert codes(inspection) == {"never_read"}
    assert inspection.ok


async def test_deep_nesting_is_a_problem_not_a_crash() -> None:
    for text in ("[" * 3_000 + "]" * 3_000, "(" * 400 + "1" + ")" * 400):
        try:
            limits = ScratchLimits(seconds=3)
            inspection = await workshop.inspect(bundle(f"{PLAIN}\nx := {text}\n"), limits=limits)
        except WorkshopError as error:
            assert "access.rego" in str(error)  # noqa: PT017 - either is an answer
        else:
            assert codes(inspection) <= {"too_deep", "syntax_error"}


@pytest.mark.parametrize(
    ("text", "place"),
    [('x := "a\0b"', (1, 8)), ("y := 1\n# \u202e", (2, 3)), ('z := "\ud800"', (1, 7))],
)
async def test_characters_that_mislead_are_refused(text: str, place: tuple[int, int]) -> None:
    (problem,) = (await inspected(text)).problems
    assert (problem.code, problem.row, problem.column) == ("bad_character", *place)


@pytest.mark.parametrize("name", ["../x.rego", "/x.rego", "a\nb.rego", "", "a//b.rego", "x" * 200])
async def test_names_of_files_are_plain(name: str) -> None:
    inspection = await workshop.inspect(Bundle({name: PLAIN}), limits=SHORT)
    assert codes(inspection) == {"bad_name"}


async def test_a_child_that_is_killed_says_what_it_was_at(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ScratchLimits(seconds=0.01)
    with pytest.raises(WorkshopError, match=r"took longer than 0.01 s, at the policy"):
        await workshop.inspect(bundle(), limits=limits)


async def test_no_child_is_left_behind() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    await inspected(allowing(RUNAWAY))
    with pytest.raises(WorkshopError):
        await workshop.inspect(bundle(), limits=ScratchLimits(seconds=0.01))
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


async def test_opa_adds_what_it_finds_and_nothing_twice() -> None:
    text = allowing("input.v == 1; typo == 2", '\nunused_argument(x) := 1\n\nstr := "a" + 1\n')
    inspection = await workshop.inspect(bundle(text), limits=ScratchLimits(), opa=OPA)
    rows = [problem.row for problem in inspection.problems if problem.severity == "error"]
    assert len(rows) == len(set(rows))
    assert {"unsafe_variable", "rego_type_error"} & codes(inspection) == {"unsafe_variable", "rego_type_error"} or (
        "unsafe_variable" in codes(inspection)
    )
    types = await workshop.inspect(bundle(PLAIN + '\nx := f(1)\n\nf("a") := 1\n'), opa=OPA)
    errors = [(p.file, p.row, p.code) for p in types.problems if p.severity == "error"]
    assert errors == [("access.rego", 13, "rego_type_error")]
    assert (await workshop.inspect(bundle(), limits=ScratchLimits(), opa=OPA)).problems == ()


async def test_an_opa_that_is_not_there_is_said() -> None:
    with pytest.raises(WorkshopError, match="opa cannot be run"):
        await workshop.inspect(bundle(), limits=SHORT, opa=Path("/nowhere/opa"))


# ---------------------------------------------------------------- run_tests

TESTS = """package gateway.authz_test

import data.gateway.authz

question := {"v": 1, "caller": {"id": "ann"}, "model": {"resolved": "qwen"}}

test_yes if authz.allow with input as question

test_no if not authz.allow with input as {}

test_wrong if authz.allow with input as {}

test_value := 1

test_false := false

test_fails if authz.allow with input as count(1)

test_prints if {
	print("seen")
	authz.allow with input as {}
}

todo_test_later if true

helper if false
"""


async def test_reports_each_test() -> None:
    report = await run_tests(bundle(PLAIN, TESTS), limits=SHORT)
    assert report.problems == ()
    results = {case.name.rpartition(".")[2]: case for case in report.cases}
    assert {name for name, case in results.items() if case.passed} == {"test_yes", "test_no"}
    assert results.keys() == {
        "test_yes", "test_no", "test_wrong", "test_value", "test_false", "test_fails", "test_prints", "todo_test_later"
    }  # fmt: skip
    assert results["test_wrong"].message == "it is undefined"
    assert results["test_wrong"].row == 11
    assert results["test_value"].message == "its value is 1, not true"
    assert results["test_fails"].message.startswith("cannot be evaluated: access_test.rego:17:")
    assert "seen" in results["test_prints"].message
    assert results["todo_test_later"].message == "to do: not run"
    assert report.slowest_us == max(case.took_us for case in report.cases) > 0
    assert report.coverage == 1.0
    assert report.uncovered == ()


async def test_coverage_names_the_rows_that_no_test_reaches() -> None:
    tests = "package gateway.authz_test\n\ntest_no if not data.gateway.authz.allow with input as {}\n"
    report = await run_tests(bundle(PLAIN, tests), limits=SHORT)
    assert 0 < report.coverage < 1
    assert {file for file, _ in report.uncovered} == {"access.rego"}
    assert {9, 10} <= {row for _, row in report.uncovered}


async def test_coverage_is_by_file_though_files_are_welded() -> None:
    other = HEAD + "import data.gwcfg\n\nspare if {\n\tinput.v == 2\n\tcount(gwcfg.models) > 0\n}\n"
    report = await run_tests(bundle(PLAIN, TESTS, other=other), limits=SHORT)
    assert report.uncovered == (("other.rego", 7),)


async def test_a_test_that_runs_away_fails_and_the_others_run() -> None:
    tests = f"{TESTS}\ntest_endless if {{\n\t{RUNAWAY}\n}}\n\ntest_after if true\n"
    report = await run_tests(bundle(PLAIN, tests), limits=SHORT)
    results = {case.name.rpartition(".")[2]: case for case in report.cases}
    assert not results["test_endless"].passed
    assert results["test_endless"].message == "it took longer than 1 s"
    assert results["test_after"].passed
    assert results["test_yes"].passed
    assert report.coverage == 1.0


async def test_a_test_that_recurses_without_end_fails() -> None:
    tests = "package gateway.authz_test\n\nf(x) := f([x])\n\ntest_deep if f(1) == 1\n\ntest_fine if true\n"
    report = await run_tests(bundle(PLAIN, tests), limits=replace(SHORT, decision_seconds=5))
    results = {case.name.rpartition(".")[2]: case for case in report.cases}
    assert not results["test_deep"].passed
    assert results["test_fine"].passed


async def test_a_file_that_does_not_compile_is_a_problem() -> None:
    report = await run_tests(bundle(PLAIN, "package gateway.authz_test\n\ntest_x if {\n"), limits=SHORT)
    assert report.cases == ()
    assert [(problem.file, problem.code) for problem in report.problems] == [("access_test.rego", "syntax_error")]


async def test_all_tests_together_have_a_limit() -> None:
    slow = "".join(f"test_{n} if {{\n\t{RUNAWAY}\n}}\n\n" for n in range(20))
    with pytest.raises(WorkshopError, match=r"took longer than 2 s, at .*test_\d+ in access_test.rego:\d+"):
        await run_tests(
            bundle(PLAIN, "package gateway.authz_test\n\n" + slow), limits=ScratchLimits(2.0, 512 << 20, 0.3)
        )


# ---------------------------------------------------------------- Evaluator


async def test_evaluates_shows_rules_and_survives_odd_inputs() -> None:
    async with Evaluator(bundle(), limits=SHORT) as evaluator:
        yes = await evaluator.evaluate(question())
        assert isinstance(yes, dict)
        assert yes["allow"] is True
        rules = await evaluator.rules(question())
        assert isinstance(rules, dict)
        assert rules.keys() == {"allow", "decision"}
        with pytest.raises(PolicyFault, match="not JSON"):
            await evaluator.evaluate(b'{"a":1}\n{"b":2}')
        indented = orjson.dumps(orjson.loads(question()), option=orjson.OPT_INDENT_2)
        assert await evaluator.evaluate(indented) == yes


async def test_answers_keep_their_order_and_faults_their_place() -> None:
    text = HEAD + 'decision := {"allow": false, "revision": format_int(input.n, 10)}\n'
    documents = [orjson.dumps({"n": n}) for n in range(250)]
    documents[7], documents[120], documents[249] = b"{", b'{"n":"x"}', b"{}"
    async with Evaluator(bundle(text), limits=SHORT) as evaluator:
        answers = await evaluator.evaluate_many(documents)
    faults = [index for index, answer in enumerate(answers) if isinstance(answer, PolicyFault)]
    assert faults == [7, 120, 249]
    assert all(
        isinstance(answer, dict) and answer["revision"] == str(index)
        for index, answer in enumerate(answers)
        if index not in faults
    )


async def test_ten_thousand_within_seconds() -> None:
    started = time.monotonic()
    async with Evaluator(bundle()) as evaluator:
        answers = await evaluator.evaluate_many([question()] * 10_000)
    assert len(answers) == 10_000
    assert all(isinstance(answer, dict) and answer["allow"] is True for answer in answers)
    assert time.monotonic() - started < 20


async def test_an_input_that_ends_the_child_is_a_fault_of_its_own() -> None:
    range_ = "numbers.range(1, input.n)"
    text = allowing(f"count([1 | some a in {range_}; some b in {range_}; a == b]) == 1")
    documents = [orjson.dumps({"n": n}) for n in (1, 2, 3000, 1, 3000, 3)]
    async with Evaluator(bundle(text), limits=SHORT) as evaluator:
        answers = await evaluator.evaluate_many(documents)
        shown = [answer.get("allow") if isinstance(answer, dict) else type(answer) for answer in answers]
        assert shown == [True, False, PolicyFault, True, PolicyFault, False]
        with pytest.raises(PolicyEngineDown, match="took longer than"):
            await evaluator.evaluate(documents[2])
        assert await evaluator.evaluate(documents[0]) == {"allow": True}


async def test_a_policy_that_only_ends_children_is_given_up() -> None:
    async with Evaluator(
        bundle(allowing(f"input.v == 9; {RUNAWAY}")), limits=replace(SHORT, decision_seconds=0.1)
    ) as it:
        with pytest.raises(PolicyEngineDown, match="ended 9 times"):
            await it.evaluate_many([b'{"v":9}'] * 20)


async def test_a_killed_child_is_replaced() -> None:
    before = {child.pid for child in psutil.Process().children()}
    async with Evaluator(bundle(), limits=SHORT) as evaluator:
        (child,) = [child.pid for child in psutil.Process().children() if child.pid not in before]
        os.kill(child, signal.SIGKILL)
        with pytest.raises(PolicyEngineDown):
            await evaluator.evaluate(question())
        assert await evaluator.evaluate(question()) is not None
    assert {child.pid for child in psutil.Process().children()} <= before


async def test_a_policy_that_does_not_load_is_said() -> None:
    with pytest.raises(WorkshopError, match=r"access.rego:4:1: expecting expression"):
        async with Evaluator(bundle(HEAD + "decision := (\n"), limits=SHORT):
            pass
    with pytest.raises(WorkshopError, match="MiB of data"):
        async with Evaluator(Bundle({"a.rego": PLAIN}, data={"x": "y" * 9_000_000}), limits=SHORT):
            pass
    assert DATA == {"models": ["qwen"]}
