"""A policy as one value: Rego modules, their tests, and data. Its revision is the hash of all three.

Modules live in package `gateway` or below it, data at `data.gwcfg` (a package must not read data under itself:
facts A1). The decision is `data.gateway.authz.decision`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from policies.json import Object

ENTRY: Final = "gateway/authz/decision"
"""The path of the decision below `/v1/data/`."""
ROOTS: Final = ("gateway", "gwcfg")
"""What a bundle owns in an OPA; narrow, since the default root `""` would own everything."""
DATA_ROOT: Final = "gwcfg"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`modules` and `tests` map file names (`access.rego`, `team/x.rego`) to Rego v1 text; `data` is `data.gwcfg`."""

    modules: Mapping[str, str]
    tests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    data: Object = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """64 hex digits: SHA-256 over names and texts of modules and tests and the data's canonical JSON."""
        import hashlib  # late: the embedded engine's child asks for no revision, and OpenSSL takes 4 MB there

        digest = hashlib.sha256()
        for kind, files in (("module", self.modules), ("test", self.tests)):
            for name, text in sorted(files.items()):
                for part in (kind, name, text):
                    encoded = part.encode()
                    digest.update(len(encoded).to_bytes(8, "big") + encoded)
        digest.update(canonical_json(self.data))
        return digest.hexdigest()


def canonical_json(document: Object) -> bytes:
    """Compact JSON with sorted keys: equal documents are equal bytes; also what OPA hashes in signed bundles."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
