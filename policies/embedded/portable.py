"""Which builtins a policy may use: those that OPA and regorus evaluate alike, so that a policy means one thing.

Found by calling every builtin that both have with up to 150 combinations of arguments in OPA 1.22 and regorus 0.13
(`tests/policies/differential/` keeps the cases). A builtin that differs anywhere an access policy could get to, or that
makes regorus panic, is not in `ARGUMENTS`. What is in it differs only where its comment says.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

_BY_COUNT: Final[dict[int, str]] = {
    0: "time.now_ns",
    1: """
        abs array.reverse base64.encode base64url.encode base64url.encode_no_pad ceil count floor hex.encode
        intersection is_array is_boolean is_null is_number is_object is_set is_string lower max min object.keys
        object.union_n round sort strings.reverse sum trim_space type_name union upper walk
    """,
    2: """
        array.concat bits.and bits.rsh concat contains endswith format_int graph.reachable indexof net.cidr_contains
        numbers.range object.filter object.remove object.union regex.match split sprintf startswith
        strings.any_prefix_match strings.any_suffix_match trim trim_left trim_prefix trim_right trim_suffix
    """,
    3: "array.slice glob.match numbers.range_step object.get regex.replace replace substring",
}
ARGUMENTS: Final = MappingProxyType({name: count for count, names in _BY_COUNT.items() for name in names.split()})
"""How many arguments each portable builtin takes.

Some are portable only for some values, which agreement.py looks at: `count`, `lower`, `upper`, `sum`, `sprintf`,
`sort`, `max`, `min`, `net.cidr_contains`. What makes numbers or texts of unknown size out of a text is not here at all
(`to_number`, `json.unmarshal`, `units.parse`, `base64.decode`), nor are `product` and `bits.lsh`: 64 bits do not hold
what they can come to.
"""

REFUSED: Final = frozenset({"http.send", "opa.runtime", "net.lookup_ip_addr"})
"""Reach out of the policy; no engine may run them."""

VOLATILE: Final = REFUSED | {
    "json.match_schema", "json.verify_schema", "rand.intn", "time.now_ns", "uuid.rfc4122", "trace",
}  # fmt: skip
"""Whose value can differ between two calls with the same arguments."""

OUTPUTS: Final = frozenset({"walk"})
"""Give their answers through one argument more than they take."""

NEEDLES: Final = MappingProxyType({"indexof": 1, "replace": 1})
"""Builtins that differ when this argument is "", an error or bytes instead of characters in OPA: it is a constant."""

WARNED: Final = MappingProxyType(
    {"time.now_ns": "decisions that read the clock cannot be replayed or cached: use input.time"}
)
"""Allowed, with a warning."""

PATTERNS: Final = MappingProxyType({"regex.match": 0, "regex.replace": 1})
"""Builtins that take a regular expression, and which argument it is."""

_VERB: Final = re.compile(r"%(%|[^%]?)")


def verbs(form: str) -> list[str]:
    """The verbs of a sprintf format, without `%%`: `s`, `d`, `v` are alike in both engines, all else is not."""
    return [verb for verb in _VERB.findall(form) if verb != "%"]
