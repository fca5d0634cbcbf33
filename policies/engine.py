"""The seam between the gateway and whatever evaluates Rego: one question, one JSON answer, two ways to fail.

Behind it, always OPA's REST data API: a remote OPA, an `opa` child, or the embedded engine's child (`policies/opa/`).
"""

from __future__ import annotations

from typing import Protocol

from policies.json import JSON


class PolicyEngineError(Exception):
    """No usable answer. `detail` is for the operator's log; whatever happened, the caller gets a no."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class PolicyEngineDown(PolicyEngineError):
    """Unreachable, dead, silent for too long, or not ready yet: asking again later may help."""


class PolicyFault(PolicyEngineError):
    """The engine answered that the policy gives no result: an evaluation error, or undefined."""


class PolicyEngine(Protocol):
    """Evaluates one policy."""

    @property
    def kind(self) -> str:
        """`embedded`, `opa` or `remote`, for records and metrics."""

    @property
    def revision(self) -> str:
        """Of the bundle it evaluates; "" if only the engine itself knows."""

    async def evaluate(self, document: bytes) -> JSON:
        """The value of `data.gateway.authz.decision` for the input `document` (JSON bytes).

        Raises PolicyEngineDown or PolicyFault, nothing else.
        """

    async def close(self) -> None:
        """Stop whatever was started."""
