"""The cases that the engines are known to answer differently, and what `policy check` does about each.

The test fails for a difference that is not here, and for one here that is gone.
"""

from __future__ import annotations

from typing import Final

REFUSED_BY_CHECK: Final = frozenset(
    {
        "array.flatten",
        "any and all",
        "cast functions",
        "unification of different lengths",
        "local variables hide rules",
        "a rule as a loop variable elsewhere",
        "rule named as a loop variable",
        "some with several names",
        "shadowed function argument",
        "misspelt variable",
        "misspelt variable below not",
        "misspelt function",
        "wrong number of arguments",
        "unsafe variable",
        "unsafe below not",
        "declared twice",
        "used before declared",
        "two defaults",
        "recursion",
        "a rule that depends on itself",
        "duplicate arity",
        "rule and function of one name",
        "complete rule and partial set",
        "package that reads itself",
        "regex word boundary",
        "regex perl classes and unicode",
        "regex repeated too often",
        "regex quoted",
        "regex.split by nothing",
        "regex.globs_match",
        "indexof nothing",
        "strings.replace_n",
        "sprintf with too few",
        "sprintf with too many",
        "render_template",
        "template string",
        "net.cidr_intersects",
        "net.cidr_contains_matches",
        "net.cidr_merge",
        "json.marshal",
        "crypto.sha256",
        "crypto.hmac",
        "json.match_schema",
        "http.send",
        "opa.runtime",
        "net.lookup_ip_addr",
        "rego.metadata.rule",
        "rego.parse_module",
        "unknown namespace",
        "semver.compare with a v",
        "concat of a number",
        "addition of text",
        "sum of strings",
        "default of a partial set",
        "wrong type of argument",
        "object.get of no object",
        "index negative",
        "index beyond",
        "sort of mixed types",
        "fractions",
        "a large product",
        "sum of fractions",
        "floor and ceil of small negative fractions",
        "upper of sharp s",
        "lower of dotted capital i",
        "sprintf of a wrong type",
        "count beyond the basic plane",
        "net.cidr_contains of mapped addresses",
        "surrogate pairs in input",
    }
)
"""`policy check` refuses the text, so no policy in force rests on it."""

REFUSED_AS_INPUT: Final = frozenset({"an integer beyond 64 bits in json"})
"""No input document v1 has such a value; `policy eval` and the embedded engine refuse one that has it."""
