"""Which kinds of engine offer what, as data and as a sentence for whoever asked one that does not. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Protocol

from engines.adapters import failures
from engines.adapters.registry import ADAPTERS
from engines.contract import Adapter, Kind
from policies.call import JUDGING, Call, Operation
from policies.errors import EngineRefused, UpstreamError
from policies.reasons import Reason

_SERVED: Final = MappingProxyType(
    {
        Operation.RERANK: ", serving a model made for it (llama-server: --reranking)",
        Operation.SCORE: ", serving a model made for it with vLLM",
        Operation.EMBEDDINGS: ", serving a model made for it (llama-server: --embeddings)",
    }
)


def kinds_for(call: Call) -> frozenset[Kind]:
    """The kinds whose adapters can be asked for `call`."""
    return frozenset(kind for kind, adapter in ADAPTERS.items() if adapter.offers(call))


def needed(call: Call) -> str | None:
    """What `call` needs, in constants of ours; None where every kind offers it, so that there is nothing to say."""
    kinds = kinds_for(call)
    if kinds.issuperset(Kind):
        return None
    *most, last = sorted(kinds)
    named = f"{', '.join(most)} or {last}" if most else last
    what = "the count of a chat" if call.operation is Operation.TOKENIZE and "messages" in call.body else call.operation
    return f"{what} needs an engine of kind {named}{_SERVED.get(call.operation, '')}."


class Head(Protocol):
    """What is looked at of an answer's head."""

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def retry_after(self) -> float | None: ...


def explain(adapter: Adapter, call: Call, head: Head, body: bytes) -> UpstreamError:
    """`adapter.explain`, for what was asked: where the engine does not offer that, it says who would.

    A missing route means so for what few engines have. Of a chat it means that something else answers at the engine's
    address (a proxy in front of one that is down says the same words), which is worth another try.
    """
    error = adapter.explain(head.status, head.content_type, body, head.retry_after)
    if call.operation in JUDGING and failures.is_no_route(head.status, failures.read(head.content_type, body)):
        error = EngineRefused(Reason.OPERATION_NOT_SUPPORTED, detail=error.detail)
    if error.reason is Reason.OPERATION_NOT_SUPPORTED:
        error.hint = needed(call)
    return error
