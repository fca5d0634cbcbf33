"""Which kinds of engine offer what, as data and as a sentence for whoever asked an engine of another kind. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from engines.adapters.registry import ADAPTERS
from engines.contract import Kind
from policies.call import Call, Operation

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
