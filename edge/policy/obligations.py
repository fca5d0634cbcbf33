"""Obligations that change the request itself: carried out here, before an engine sees it. Pure.

The others are met by whom they concern: priority and class by the queue, headers and time by the line, redaction and
audit by the records. What cannot be met never gets here (`policies.decision.judge`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from policies.call import Call
from policies.input import prompts_of
from policies.obligations import Obligations

_WITH: Final = {
    "tools": ("tool_choice", "parallel_tool_calls"),
    "logprobs": ("top_logprobs",),
    "repeat_penalty": ("repetition_penalty",),
    "repetition_penalty": ("repeat_penalty",),
}
"""What makes no sense without the parameter that is taken out, or is another name for it."""


def honour(obligations: Obligations, call: Call) -> Call:
    """`call` as it may be sent. `max_tokens` is for the whole answer: each prompt's each choice gets a share."""
    most = obligations.max_tokens
    if most is not None:
        each = max(1, most // (call.n * prompts_of(call)))
        call = replace(call, max_tokens=each if call.max_tokens is None else min(call.max_tokens, each))
    if obligations.strip:
        out = set(obligations.strip)
        for name in obligations.strip:
            out.update(_WITH.get(name, ()))
        call = replace(call, body={name: value for name, value in call.body.items() if name not in out})
    return call
