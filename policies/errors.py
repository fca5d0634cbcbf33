"""The error tree. Nothing else crosses a package border.

GatewayError            never raised itself
├── Refusal             the caller's doing, or the gateway's own limit
└── UpstreamError       the engine's doing
    ├── EngineUnreachable
    ├── EngineTimeout
    ├── EngineBroke
    └── EngineRefused   the engine answered with an error of its own (its text is never relayed)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policies.reasons import CAUSES, Cause, Reason


class GatewayError(Exception):
    """A reason with its cause.

    `param` names one of OUR known parameters; `hint` is a constant of ours, or what a policy's author marked as public.
    Neither ever holds bytes an engine sent. `detail` may, and is for the operator's log only (already stripped of
    secrets and prompts). `headers` go out with the answer: what is left of the caller's limits. `limit` says which kind
    of limit is used up, as (what is counted, in which window), "" where that says nothing.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        param: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        detail: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
        limit: tuple[str, str] = ("", ""),
    ) -> None:
        if type(self) is GatewayError:
            raise TypeError("raise a Refusal or an UpstreamError")
        super().__init__(reason.value)
        self.reason = reason
        self.param = param
        self.hint = hint
        self.retry_after = retry_after
        self.detail = detail
        self.headers: Mapping[str, str] = headers
        self.limit = limit

    @property
    def cause(self) -> Cause:
        return CAUSES[self.reason]

    @property
    def text(self) -> str:
        """The constant text for the caller: the cause's, and the hint where there is one."""
        return f"{self.cause.text} {self.hint}" if self.hint else self.cause.text


class Refusal(GatewayError):
    """The gateway refuses the request."""


class UpstreamError(GatewayError):
    """The engine failed. `connected`: it had a connection, so what was asked of it may be why."""

    connected = True


class EngineUnreachable(UpstreamError):
    """No connection, or the connection died before a byte of the answer came."""

    def __init__(self, detail: str = "", *, retry_after: float | None = 2.0, connected: bool = True) -> None:
        super().__init__(Reason.ENGINE_UNREACHABLE, detail=detail, retry_after=retry_after)
        self.connected = connected


class EngineTimeout(UpstreamError):
    """Connect, first byte, gap between chunks or the whole answer took too long; `detail` says which."""

    def __init__(self, detail: str = "", *, connected: bool = True) -> None:
        super().__init__(Reason.ENGINE_TIMEOUT, detail=detail)
        self.connected = connected


class EngineBroke(UpstreamError):
    """An answer that is not valid: broken framing, an error in the stream, an end without a terminal event."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(Reason.ENGINE_BROKE, detail=detail)


class EngineRefused(UpstreamError):
    """The engine answered with an error status; `reason` says what that means to the caller."""
