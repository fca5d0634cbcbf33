"""The default policy: Rego text, its tests, and how to get both as one value.

access.rego        who may what: the credential's bounds, grants, reasons
obligations.rego   what a yes is tied to
result.rego        the entry point: the result document
*_test.rego        their opa-style tests
examples/          what the default policy leaves out, to be added by whoever wants it
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from policies.bundle import Bundle
from policies.grants import policy_data
from policies.json import Object

_MODULES: Final = ("access.rego", "obligations.rego", "result.rego")
_TESTS: Final = ("access_test.rego", "obligations_test.rego")


def default_bundle(data: Object | None = None) -> Bundle:
    """The default policy with `data` as its `data.gwcfg`; without, no grants: credentials' own bounds decide alone."""
    modules, tests = (MappingProxyType({name: _text(name) for name in names}) for names in (_MODULES, _TESTS))
    return Bundle(modules, tests, policy_data(()) if data is None else data)


@cache
def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
