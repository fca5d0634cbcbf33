"""Each lint, with a policy that it must find and one that it must leave alone; every finding says where."""

from __future__ import annotations

import pytest

from policies.embedded.findings import Problem
from policies.embedded.lints import lint
from policies.embedded.parse import read_module
from policies.embedded.rego import syntax_tree
from policies.embedded.tree import Module
from tests.policies.embedded.policies_for_tests import DENY, HEAD, PLAIN, allowing

BASE = f"{HEAD}decision := {DENY}\n"


def parsed(**texts: str) -> list[Module]:
    return [read_module(f"{name}.rego", text, syntax_tree(f"{name}.rego", text)) for name, text in texts.items()]


def found(*texts: str) -> list[Problem]:
    return lint(parsed(**{f"m{index}": text for index, text in enumerate(texts)}), [])


def codes(*texts: str) -> list[str]:
    return [problem.code for problem in found(*texts)]


BAD = [
    ("unsafe_variable", "x if not gruop_ok", (5, 10)),
    ("unsafe_variable", "x if not input.models[i]", (5, 23)),
    ("unsafe_variable", "x := [y | some z in input.models; y := z + w]", (5, 44)),
    ("unsafe_variable", "x contains y if input.v == 1", (5, 12)),
    ("unsafe_variable", "x if every m in input.models { m == n }", (5, 37)),
    ("unsafe_variable", "f(a) := b if a == 1", (5, 9)),
    ("unsafe_variable", "x := 1 if input.v == 1 else := z", (5, 32)),
    ("declared_twice", "x if {\n\ty := 1\n\ty := 2\n}", (7, 2)),
    ("declared_twice", "f(a) if {\n\ta := 1\n}", (6, 2)),
    ("two_defaults", "default x := 1\n\ndefault x := 2", (7, 1)),
    ("missing_default", "allow if input.v == 1", (5, 1)),
    ("missing_default", "default allow := true\n\nallow if input.v == 1", (5, 1)),
    ("builtin_refused", 'x := http.send({"url": "http://x/"})', (5, 6)),
    ("builtin_refused", "x := opa.runtime().env", (5, 6)),
    ("builtin_refused", 'x := net.lookup_ip_addr("x")', (5, 6)),
    ("builtin_refused", 'x := http["send"]({})', (5, 6)),
    ("builtin_refused", 'x if startswith("a", "b") with startswith as http.send', (5, 46)),
    ("builtin_not_portable", 'x := crypto.sha256("a")', (5, 6)),
    ("builtin_not_portable", "x := json.match_schema({}, {})", (5, 6)),
    ("builtin_not_portable", "x := object.subset([1], [])", (5, 6)),
    ("builtin_not_portable", 'x := rand.intn("a", 3)', (5, 6)),
    ("builtin_not_portable", "x := no_such(1)", (5, 6)),
    ("wrong_arguments", "x := count(1, 2)", (5, 6)),
    ("wrong_arguments", "f(a) := a\n\nx := f(1, 2)", (7, 6)),
    ("unknown_function", "y := 1\n\nx := y(1)", (7, 6)),
    ("caller_pattern", 'x if regex.match(input.model.requested, "a")', (5, 18)),
    (
        "caller_pattern",
        'x if {\n\tsome tool in input.request.tool_names\n\tp := concat("", ["^", tool])\n\tregex.match(p, "a")\n}',
        (8, 14),
    ),
    ("pattern_not_portable", 'x if regex.match(`^\\d+$`, "1")', (5, 18)),
    ("pattern_not_portable", 'x if regex.match("{a", "1")', (5, 18)),
    ("pattern_not_portable", 'x if regex.match("a{2000}", "1")', (5, 18)),
    ("glob_delimiters", 'x if glob.match("qwen*", [], input.model.resolved)', (5, 26)),
    ("sprintf_format", 'x := sprintf("%x", [1])', (5, 14)),
    ("sprintf_format", 'x := sprintf("%d", [1, 2])', (5, 14)),
    ("sprintf_format", "x := sprintf(input.model.requested, [1])", (5, 14)),
    ("empty_needle", 'x := replace("a", "", "b")', (5, 19)),
    ("own_package", "x := data.gateway", (5, 6)),
    ("own_package", "x := data.gateway.authz", (5, 6)),
    ("own_package", "x := data.gateway.authz[input.id]", (5, 6)),
    ("own_package", "x := data", (5, 6)),
    ("foreign_data", "x := data.grants", (5, 6)),
    ("unknown_rule", "x if not data.gateway.authz.denied", (5, 10)),
    ("unknown_input", "x if not input.callr.id", (5, 10)),
    ("unknown_input", "x if input.key.expired", (5, 6)),
    ("recursive", "f(x) := f([x])", (5, 1)),
    ("recursive", "a if b\n\nb if a", None),
    ("recursive", "a if data.gateway.authz.b\n\nb if not a", None),
    ("conflicting_rules", "x := 1\n\nx contains 2", (7, 1)),
    ("conflicting_rules", "default x := set()\n\nx contains 2", (5, 1)),
    ("wrong_kind", 'x := 1 + "a"', (5, 10)),
    ("wrong_kind", "x := {1} - 2", (5, 6)),
    ("wrong_kind", "x := count(5)", (5, 12)),
    ("wrong_kind", 'x := concat(",", ["a", 1])', (5, 24)),
    ("wrong_kind", 'x := sum(["a"])', (5, 11)),
    ("wrong_kind", 'x := object.get("a", "b", 0)', (5, 17)),
    ("wrong_kind", 'x if not ["a"][5]', (5, 16)),
    ("wrong_kind", 'x if input.request.max_tokens > "1000"', (5, 6)),
    ("wrong_kind", "x if input.source.country == null", (5, 6)),
    ("unknown_obligation", 'obligations["max_tokns"] := 5', (5, 13)),
    ("unknown_obligation", 'obligations := {"dance": true}', (5, 17)),
    ("unknown_obligation", 'x := {"allow": false, "obligations": {"audit": true, "maxtokens": 1}}', (5, 54)),
    ("never_read", "denny contains 1", (5, 1)),
    ("builtin_not_portable", 'x := semver.compare("1.0.0", "1.0.1")', (5, 6)),
    ("conflicting_rules", "f(a) := 1\n\nf(a, b) := 2", (7, 1)),
    ("reads_clock", "x if time.now_ns() > 1", (5, 6)),
    ("not_a_collection", "x := {k: v | some k, v in {}}", (5, 27)),
    ("network_not_portable", 'x if net.cidr_contains("10.0.0.0/8", input.caller.claims.ip)', (5, 6)),
    ("network_not_portable", "x if net.cidr_contains(data.gwcfg.net, input.source.ip)", (5, 6)),
    ("network_not_portable", 'x if net.cidr_contains("::ffff:10.0.0.0/104", input.source.ip)', (5, 6)),
    ("network_not_portable", 'x if net.cidr_contains("010.0.0.0/8", input.source.ip)', (5, 6)),
    ("number_not_portable", "x := 18446744073709551617", (5, 6)),
    ("number_not_portable", "x := -0.10", (5, 6)),
    ("number_not_portable", "x := 1e3", (5, 6)),
    ("number_not_portable", "x := 0.1234567890123456", (5, 6)),
    ("number_not_portable", "x := 0.00001", (5, 6)),
    ("arithmetic_not_portable", "x := 0.1 + 0.2", (5, 6)),
    ("arithmetic_not_portable", "x := input.request.temperature * 2", (5, 6)),
    ("arithmetic_not_portable", "x := data.gwcfg.limit * 2", (5, 6)),
    ("arithmetic_not_portable", "x := y * 2\n\ny := input.caller.claims.n", (5, 6)),
    ("arithmetic_not_portable", "x := [z | some y in data.gwcfg.limits; z := y + 1]", (5, 45)),
    ("arithmetic_not_portable", "x := f(0.5)\n\nf(a) := a - 1", (7, 9)),
    ("arithmetic_not_portable", "x := 1 / 3", (5, 6)),
    ("arithmetic_not_portable", "x := floor(input.time.now_ns / 1000)", (5, 12)),
    ("arithmetic_not_portable", "x := 123456789012345678 * 987654321098765432", (5, 6)),
    ("arithmetic_not_portable", "x := input.time.now_ns * 4", (5, 6)),
    ("arithmetic_not_portable", "x := sum([0.1, 0.2])", (5, 10)),
    ("arithmetic_not_portable", "x := floor(data.gwcfg.limit)", (5, 6)),
    ("arithmetic_not_portable", "x := ceil((1 - input.request.n) / 3)", (5, 6)),
    ("arithmetic_not_portable", "x := sum([g.cap | some g in data.gwcfg.grants])", (5, 10)),
    ("arithmetic_not_portable", "x if {\n\ty := 1 - input.v\n\ty == 1 with input.v as 0.5\n}", (6, 11)),
    ("arithmetic_not_portable", "x := (0 - 7) % 3", (5, 6)),
    ("arithmetic_not_portable", "x := -input.request.temperature", (5, 6)),
    ("length_not_portable", "x if count(input.model.requested) > 9", (5, 6)),
    ("length_not_portable", "x if {\n\tsome g in data.gwcfg.grants\n\tcount(g.models) > 0\n}", (7, 2)),
    ("length_not_portable", "x if {\n\twalk(data.gwcfg, [path, _])\n\tcount(path) == 1\n}", (7, 2)),
    ("letters_not_portable", "x := lower(input.caller.name)", (5, 6)),
    ("letters_not_portable", 'x := upper("straße")', (5, 6)),
    ("order_not_portable", 'x := [{1}, {"a": 1}]', (5, 6)),
    ("order_not_portable", "x := [s, input.models]\n\ns := {1}", (5, 6)),
    ("order_not_portable", "x := max([y, 1])\n\ny contains 1", (5, 10)),
    ("sprintf_format", 'x := sprintf("%d", ["a"])', (5, 21)),
    ("sprintf_format", 'x := sprintf("%d", [0 - 1])', (5, 21)),
    ("sprintf_format", 'x := sprintf("%s", [input.request.n])', (5, 21)),
    ("sprintf_format", 'x := sprintf("%v", [{1}])', (5, 21)),
    ("sprintf_format", 'x := sprintf("%v", data.gwcfg.values)', (5, 20)),
    ("builtin_not_portable", 'x := to_number("1")', (5, 6)),
    ("builtin_not_portable", 'x := json.unmarshal("1")', (5, 6)),
    ("undefined_below_not", 'x if not startswith(input.caller.claims.dept, "contr")', (5, 10)),
    ("undefined_below_not", 'x if not input.caller.claims.dept in {"a"}', (5, 10)),
    ("undefined_below_not", "x if not input.model.resolved in data.gwcfg.denied[input.caller.id]", (5, 10)),
    ("undefined_below_not", 'x if not input.caller.claims.e != "x"', (5, 10)),
    ("undefined_below_not", "x if not input.caller.claims.e < 5", (5, 10)),
    ("undefined_below_not", "x if not f(input.caller.claims.e)\n\nf(a) if a == 1", (5, 10)),
    ("undefined_below_not", "x if not f(f(1))\n\nf(a) := a if a == 2", (5, 10)),
    ("undefined_below_not", "x if not f(1) == 2\n\nf(a) := a if a == 2", (5, 10)),
    ("undefined_below_not", "x if not data.gwcfg.list[input.caller.claims.e]", (5, 10)),
    ("undefined_below_not", "x if not [input.caller.claims.e] == [1]", (5, 10)),
    ("undefined_below_not", 'x if not object.get(input.caller.claims, "a", input.caller.claims.b)', (5, 10)),
    ("undefined_below_not", 'x if not (input.caller.claims.e == "a") == true', (5, 10)),
    ("undefined_below_not", 'x if not startswith(r, "a")\n\nr := "x" if input.v == 1', (5, 10)),
    ("undefined_below_not", "x if every g in input.models { not input.caller.claims.e > g }", (5, 36)),
    ("undefined_below_not", "x := [g | some g in input.models; not input.caller.claims.e > g]", (5, 39)),
    ("undefined_below_not", "x if not input.id in data.gwcfg.ids with input.id as 1", (5, 10)),
    ("undefined_below_not", "x if not max([n | some n in input.models; n != 5]) == 5", (5, 10)),
    ("unsafe_variable", "x if not input.models[_]", (5, 23)),
    ("unsafe_variable", 'x if not input.caller.groups[_] == "g1"', (5, 30)),
    ("unsafe_variable", "x := [1 | not data.gwcfg.m[input.caller.groups[_]].ok]", (5, 48)),
    ("used_too_early", "x if {\n\tsome i\n\tnot data.gwcfg.z[i]\n\tinput.models[i] == 1\n}", (7, 2)),
    ("in_as_value", 'x := "a" in input.caller.claims.l', (5, 7)),
    ("in_as_value", 'x := ["a" in input.caller.claims.l]', (5, 8)),
    ("in_as_value", 'x if ("a" in input.caller.claims.l) == false', (5, 8)),
    ("glob_delimiters", 'x if glob.match("qwen*", [":"], input.model.resolved)', (5, 26)),
    ("glob_delimiters", 'x if glob.match("qwen*", ["/", "."], input.model.resolved)', (5, 26)),
    ("glob_not_portable", 'x if glob.match(data.gwcfg.glob, ["/"], input.model.resolved)', (5, 17)),
    ("glob_not_portable", 'x if glob.match("**/b", ["/"], input.model.resolved)', (5, 17)),
    ("glob_not_portable", 'x if glob.match("a**", ["/"], input.model.resolved)', (5, 17)),
    ("glob_not_portable", 'x if glob.match("{a,}", null, input.model.resolved)', (5, 17)),
    ("glob_not_portable", 'x if glob.match("[^a]", null, input.model.resolved)', (5, 17)),
    ("glob_not_portable", 'x if glob.match("qwen?", null, input.model.requested)', (5, 32)),
    ("pattern_not_portable", "x if regex.match(p, input.id)\n\np := `^\\w+$`", (5, 18)),
    ("pattern_not_portable", "x if {\n\tp := `^\\w+$`\n\tregex.match(p, input.id)\n}", (7, 14)),
    ("pattern_not_portable", "x if f(`\\d`)\n\nf(p) if regex.match(p, input.id)", (7, 21)),
    ("pattern_not_portable", "x if {\n\tsome p in [`a`, `\\d`]\n\tregex.match(p, input.id)\n}", (7, 14)),
    ("pattern_not_portable", 'x if regex.match(concat("", ["a"]), input.id)', (5, 18)),
    ("pattern_not_portable", "x if regex.match(data.gwcfg.expression, input.id)", (5, 18)),
    ("pattern_not_portable", 'x := regex.replace(input.id, "(a)", "$1")', (5, 37)),
    ("object_pattern", 'x if {\n\t{"id": a} = input.caller\n\ta == 1\n}', (6, 2)),
    ("object_pattern", 'x := [a | some {"id": a} in data.gwcfg.list]', (5, 16)),
    ("object_pattern", 'x := f(input.caller)\n\nf({"id": a}) := a', (7, 3)),
    ("declared_twice", "x := f(1, 2)\n\nf(a, a) := 1", (7, 6)),
    ("declared_twice", "x := f(1, [2])\n\nf(a, [a]) := 1", (7, 7)),
    ("declared_twice", "x := f(1)\n\nf(input) := input", (7, 3)),
    ("declared_twice", "x if {\n\tsome data in [1]\n\tdata == 1\n}", (6, 7)),
    ("not_a_collection", "x if {\n\tsome a in input.caller.claims.l\n\ta == 1\n}", (6, 12)),
    ("not_a_collection", 'x := [a | some a in object.get(input.caller.claims, "l", [])]', (5, 21)),
    ("not_a_collection", "x if every a in input.caller.claims.l { a == 1 }", (5, 17)),
    ("not_a_collection", "x := f(input.caller.claims.l)\n\nf(l) := [a | some a in l]", (7, 24)),
    ("wrong_arguments", "x := [a | a := walk(data.gwcfg)]", (5, 16)),
    ("unused_variable", "x if every m in input.models { input.v == 1 }", (5, 12)),
    ("unused_variable", "x if {\n\tsome i\n\tinput.v == 1\n}", (6, 7)),
    ("nested_head", "o[k].p := 1 if some k in input.models", (5, 3)),
    ("nested_head", "o[k] contains 1 if some k in input.models", (5, 3)),
    ("empty_needle", 'x := replace("a", input.id, "b")', (5, 19)),
    ("builtin_not_portable", "x := time.parse_rfc3339_ns(input.time.iso)", (5, 6)),
    ("builtin_not_portable", "x := yaml.is_valid(input.id)", (5, 6)),
    ("arithmetic_not_portable", "x := substring(input.id, data.gwcfg.n, 1)", (5, 26)),
    ("arithmetic_not_portable", "x := bits.rsh(1, 64)", (5, 18)),
    ("arithmetic_not_portable", "x := format_int(3, 3)", (5, 20)),
    ("sprintf_format", 'x := sprintf("%v", [data.gwcfg.limit])', (5, 21)),
    ("sprintf_format", 'x := sprintf("%v", [input.models])', (5, 21)),
    ("length_not_portable", "o[k] := [1] if some k in input.caller.groups\n\nx := [count(k) | some k, _ in o]", (7, 7)),
    (
        "order_not_portable",
        'o[k] := {1} if some k in ["a"]\n\no[k] := {"b": 1} if some k in ["c"]\n\nx := sort([v | some v in o])',
        None,
    ),
    ("order_not_portable", 's contains {1}\n\ns contains {"a": 1}', (5, 12)),
    ("order_not_portable", 'x := {[{1}], [{"a": 1}]}', (5, 6)),
    ("order_not_portable", 'x if [{1}] < [{"a": 1}]', (5, 6)),
    ("order_not_portable", 'x := {{1}} | {{"a": 1}}', (5, 6)),
    ("order_not_portable", 'x := union({{{1}}, {{"a": 1}}})', (5, 6)),
    ("order_not_portable", 'x := [k | some k, _ in {{1}: 1, {"a": 1}: 2}]', (5, 33)),
    ("may_fail", 'x if startswith(input.caller.claims.e, "a")', (5, 17)),
    ("may_fail", 'x := concat(",", input.caller.claims.l)', (5, 18)),
    ("may_fail", "x := floor(5 / input.request.images)", (5, 16)),
    ("may_fail", 'x if {\n\tstartswith(input.caller.claims.e, "a")\n\tis_string(input.caller.claims.e)\n}', (6, 13)),
]


@pytest.mark.parametrize(("code", "rule", "place"), BAD, ids=[f"{code}: {rule[:40]!r}" for code, rule, _ in BAD])
def test_finds(code: str, rule: str, place: tuple[int, int] | None) -> None:
    problems = [problem for problem in found(f"{BASE}\n{rule}\n") if problem.code == code]
    assert problems, codes(f"{BASE}\n{rule}\n")
    assert all(problem.row > 0 and problem.column > 0 and problem.file == "m0.rego" for problem in problems)
    if place is not None:
        assert place in {(problem.row, problem.column) for problem in problems}


GOOD = [
    "default allow := false\n\nallow if input.v == 1",
    "x if {\n\tsome i\n\tinput.models[i] == 1\n\tnot input.request.tool_names[i]\n}",
    "x if {\n\ty > 1\n\ty := input.v\n}",
    "x contains y if some y in input.models",
    "x[k] := v if some k, v in data.gwcfg.models",
    "x if {\n\t[a, b] := input.models\n\ta == b\n}",
    'x if {\n\t{"id": 1} = input.caller\n\ta == 1\n\ta := 1\n}',
    "x if {\n\twalk(data.gwcfg, [path, value])\n\tcount([p | some p in path]) == 1\n\tvalue == 1\n}",
    "x := f(1, input.models)\n\nf(a, [b, _]) := {a, b}",
    "x := f(input.models)\n\nf(a) := g(a)\n\ng(a) := count([z | some z in a; z > 1])",
    "x := {k: v | some k, v in data.gwcfg.models}",
    "x if regex.match(input.key.patterns[_], input.model.resolved)",
    "x if {\n\tsome p in input.key.patterns\n\tregex.match(p, input.model.resolved)\n}",
    "x if regex.match(data.gwcfg.patterns[input.caller.id], input.model.resolved)",
    "x if regex.match(`^[a-z]{1,8}\\.(gguf|mlx)$`, input.model.resolved)",
    'x if glob.match("qwen*", null, input.model.resolved)',
    'x := sprintf("%s has %d of 100%%", [input.caller.id, 3])',
    "target := input.model.resolved\n\nx if some target in data.gwcfg.models",
    'x if input.caller.claims.team == "a"',
    'x if net.cidr_contains("10.0.0.0/8", input.source.ip)',
    "x := (input.time.weekday * 24) + input.time.hour",
    "x if (input.usage.tokens_day + input.request.max_tokens) * 10 > round(data.gwcfg.limit) * 8",
    "x := floor(input.usage.tokens_day / 60)",
    "x if input.time.now_ns - input.key.created_ns > 86400000000000",
    "x if input.request.temperature <= 0.75",
    "x := f(3)\n\nf(a) := a * 2",
    'x := sum([n | some m in data.gwcfg.models; n := count(split(m, "/"))])',
    "x := max([g.cap | some g in data.gwcfg.grants])",
    "x if count(input.models) > count(input.caller.groups)",
    "x := data.gateway.authz.y - {1}\n\ny contains 2",
    "x := lower(input.model.resolved)",
    "x := [lower(m) | some m in input.models]",
    'x := sprintf("%v %d", [input.model.local, abs(round(data.gwcfg.limit))])',
    "x := {{1}, {2}}",
    'x := [t | some i in numbers.range(1, count(input.models)); t := sprintf("%d", [i + 1])]',
    'o["a"] := 1\n\no["b"] := data.gateway.authz.o.a',
    "import_ := 1\n\nx if time.now_ns() == 1 with time.now_ns as 1",
    "x := 1 if {\n\tevery k, v in data.gwcfg.models {\n\t\tk != v\n\t}\n} else := 2",
]


GOOD += [
    "x if not input.caller.claims.e",
    'x if not input.caller.claims.e == "x"',
    'x if not input.caller.claims.e = ["x"]',
    "x if not input.caller.claims.e == input.caller.claims.f",
    "x if {\n\te := input.caller.claims.e\n\tnot f(e)\n}\n\nf(a) if a == 1",
    "x if not f(input.id)\n\nf(a) if a == 1",
    "x if not y\n\ny if input.v == 2",
    'x if not object.get(input.caller.claims, "e", "") in ["a", "b"]',
    'x if not input.id in object.get(data.gwcfg, "denied", [])',
    'x if not "g1" in input.caller.groups',
    'x if not input.id in friends\n\nfriends := {"ann", "bob"}',
    "x if not input.id in friends\n\nfriends contains f if some f in data.gwcfg.friends",
    'x if not startswith(r, "a")\n\ndefault r := ""\n\nr := "x" if input.v == 1',
    'x if not "a" in [g | g := input.caller.claims.l[_]]',
    'x := "g1" in input.caller.groups',
    'x if "a" in input.caller.claims.l',
    'x if glob.match("library/**", ["/"], input.model.resolved)',
    'x if glob.match("{qwen,llama}?", null, input.model.resolved)',
    "x if regex.match(p, input.id)\n\np := `^[a-z0-9]+$`",
    "x if {\n\tsome p in data.gwcfg.patterns\n\tregex.match(p, input.id)\n}",
    "x if {\n\tsome g in data.gwcfg.grants\n\tsome m in g.models\n\tregex.match(m.pattern, input.id)\n}",
    'x if {\n\te := input.caller.claims.l[_]\n\te == "a"\n}',
    'x if {\n\tis_string(input.caller.claims.e)\n\tstartswith(input.caller.claims.e, "a")\n}',
    'x if {\n\te := input.caller.claims.e\n\tis_string(e)\n\tnot endswith(e, "@example.com")\n}',
    "x := f(1, 2)\n\nf(_, _) := 1",
    "x := f(input.models)\n\nf(l) := [a | some a in l]",
    "x := {n | some {1} in [{1}]; n := 1}",
    'x := sprintf("%s: %v", [input.id, input.model.local])',
]


@pytest.mark.parametrize("rule", GOOD)
def test_leaves_alone(rule: str) -> None:
    assert [problem for problem in found(f"{BASE}\n{rule}\n") if problem.severity == "error"] == []


def test_a_policy_needs_its_entry() -> None:
    assert codes(f"{HEAD}x := 1\n") == ["no_entry_point"]


def test_packages_are_below_gateway() -> None:
    assert "package_outside" in codes(PLAIN, "package elsewhere\n\nx := 1\n")
    assert codes(PLAIN, "package gateway.team\n\nx := 1\n") == ["never_read"]


def test_rules_of_other_files_and_imports_are_known() -> None:
    other = "package gateway.authz\n\nimport data.gateway.team.known as friends\n\nfine if input.caller.id in friends\n"
    team = 'package gateway.team\n\nknown := {"ann"}\n'
    assert codes(allowing("fine"), other, team) == []
    assert "unsafe_variable" in codes(allowing("fine"), team)


def test_rings_through_several_packages_are_found() -> None:
    other = "package gateway.team\n\nb if data.gateway.authz.a\n"
    assert "recursive" in codes(f"{BASE}\na if data.gateway.team.b\n", other)


def test_names_in_tests_are_checked_too() -> None:
    tests = parsed(t="package gateway.authz_test\n\ntest_x if typo == 1\n")
    assert [problem.code for problem in lint(parsed(a=PLAIN), tests)] == ["unsafe_variable"]


def test_columns_count_characters() -> None:
    problems = found(f'{BASE}\nx if {{\n\t"é😀" == typo\n}}\n')
    assert [(problem.row, problem.column) for problem in problems if problem.severity == "error"] == [(6, 10)]


def test_what_the_decision_depends_on_by_any_way_is_read() -> None:
    team = "package gateway.team\n\nfriends contains input.caller.id\n\nunused := 1\n"
    helped = (
        "package gateway.authz\n\nfine if helper(1)\n\nhelper(x) if x in {1 | some _ in data.gateway.team.friends}\n"
    )
    warned = found(allowing("fine"), helped, team)
    assert [(problem.file, problem.row, problem.code) for problem in warned] == [("m2.rego", 5, "never_read")]
