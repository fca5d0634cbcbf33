"""The catalogue against OpenTelemetry's conventions, written down here a second time: names, units, bounds, attributes.

`gen_ai.*`: semantic-conventions-genai (development), docs/gen-ai/gen-ai-metrics.md. `http.*`: stable. Bounds may go on
where the convention's end, for what local engines take, but never differ within.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

from observability.metrics.catalogue import CATALOGUE
from observability.metrics.snapshot import Kind

_DOUBLING: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_HTTP: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_FIRST_TOKEN: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_GEN_AI: Final = frozenset({"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"})
_HTTP_SIDE: Final = frozenset({"http.request.method", "url.scheme"})


class Convention(NamedTuple):
    """What a metric must be; `bounds` () where the convention names none."""

    unit: str
    kind: Kind
    bounds: tuple[float, ...]
    attributes: frozenset[str]
    """Required ones, and those required where they apply."""


CONVENTIONS: Final = {
    "gen_ai.client.token.usage": Convention("{token}", Kind.HISTOGRAM, _TOKENS, _GEN_AI | {"gen_ai.token.type"}),
    "gen_ai.client.operation.duration": Convention("s", Kind.HISTOGRAM, _DOUBLING, _GEN_AI | {"error.type"}),
    "gen_ai.client.operation.time_to_first_chunk": Convention("s", Kind.HISTOGRAM, _DOUBLING, _GEN_AI),
    "gen_ai.server.request.duration": Convention("s", Kind.HISTOGRAM, _DOUBLING, _GEN_AI | {"error.type"}),
    "gen_ai.server.time_to_first_token": Convention("s", Kind.HISTOGRAM, _FIRST_TOKEN, _GEN_AI),
    "gen_ai.server.time_per_output_token": Convention("s", Kind.HISTOGRAM, _PER_TOKEN, _GEN_AI),
    "http.server.request.duration": Convention(
        "s",
        Kind.HISTOGRAM,
        _HTTP,
        _HTTP_SIDE | {"http.route", "http.response.status_code", "error.type"},
    ),
    "http.server.request.body.size": Convention("By", Kind.HISTOGRAM, (), _HTTP_SIDE),
    "http.server.response.body.size": Convention("By", Kind.HISTOGRAM, (), _HTTP_SIDE),
    # Read when asked for, of listeners that know no methods, so without the attributes that the convention requires.
    "http.server.active_requests": Convention("{request}", Kind.UP_DOWN, (), frozenset()),
    "process.memory.usage": Convention("By", Kind.UP_DOWN, (), frozenset()),
    "process.cpu.time": Convention("s", Kind.COUNTER, (), frozenset({"cpu.mode"})),
    "process.uptime": Convention("s", Kind.GAUGE, (), frozenset()),
}
FAMILIES: Final = {family.name: family for family in CATALOGUE}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_is_as_the_convention_says(name: str) -> None:
    family, convention = FAMILIES[name], CONVENTIONS[name]
    assert (family.unit, family.kind) == (convention.unit, convention.kind)
    assert family.bounds[: len(convention.bounds)] == convention.bounds
    assert convention.attributes <= set(family.labels)


def test_no_name_of_a_convention_is_made_up() -> None:
    ours = {name for name in FAMILIES if name.startswith("llm_gateway.")}
    assert set(FAMILIES) - ours == set(CONVENTIONS)


def test_bounds_rise() -> None:
    for family in CATALOGUE:
        assert list(family.bounds) == sorted(set(family.bounds)), family.name
