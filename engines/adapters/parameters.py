"""Names of request parameters, and the three that engines spell differently: length, effort, choice of tool.

Each adapter shows its engine an allow-list only (CVE-2026-21869: a negative `n_discard` wrote out of bounds in
llama.cpp; CVE-2025-62426: `chat_template_kwargs` blocked vLLM's loop). In no list, on purpose: `adapters`,
`draft_model`, `role_mapping` (mlx-lm loads what they name), `id_slot`, `n_predict`, `cache_salt`, `best_of`, `user`,
`metadata`, `store`, `service_tier`, `prompt_cache_key` (the engine need not know who asks), `keep_alive`, `ttl`.
"""

from __future__ import annotations

from typing import Final

from policies.call import Call
from policies.errors import Refusal
from policies.json import JSON, Object, as_count, as_object
from policies.reasons import Reason

SAMPLING: Final = frozenset({"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"})
TOOLS: Final = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
LOGPROBS: Final = frozenset({"logprobs", "top_logprobs"})
CHAT: Final = SAMPLING | TOOLS | LOGPROBS | {"messages", "n", "logit_bias", "response_format", "reasoning_effort"}
COMPLETIONS: Final = SAMPLING | {"prompt", "suffix", "echo", "n", "logprobs", "logit_bias"}
EMBEDDINGS: Final = frozenset({"input", "encoding_format", "dimensions"})
THINKING: Final = frozenset({"reasoning_effort", "chat_template_kwargs"})
"""What says whether and how much a model thinks; see `template_arguments`."""

RANKING: Final = frozenset({"query", "documents", "text_1", "text_2"})
"""Without `top_n` and `return_documents`: the gateway sorts, cuts and shows, so that engines do not differ in it."""

LIMITS: Final = ("max_completion_tokens", "max_tokens")
ONE_ANSWER: Final = "This engine gives one answer per request."
NO_BIAS: Final = "This engine does not check the token ids of a bias."
ONE_PROMPT: Final = "This engine takes one prompt, as a string."


def limit(call: Call) -> int | None:
    """How many tokens the caller may get: what the line settled on, else the smallest limit in the body."""
    if call.max_tokens is not None:
        return call.max_tokens
    asked = [count for name in LIMITS if (count := as_count(call.body.get(name))) is not None]
    return min(asked, default=None)


def refuse_many(call: Call) -> None:
    """Refuse `n` > 1 for an engine that would silently answer once."""
    if max(call.n, as_count(call.body.get("n")) or 1) > 1:
        raise Refusal(Reason.INVALID_PARAMETER, param="n", hint=ONE_ANSWER)


def refuse_bias(call: Call) -> None:
    """Refuse `logit_bias` for an engine that indexes its logits with whatever ids it is given.

    mlx-lm does `logits.at[:, ids].add(...)`, and MLX checks no bounds: id 64 of 64 ended the process with a double
    free, 1,000,000 with a segmentation fault (run here, mlx 0.32.4 on Linux). Nobody but the engine knows how large its
    vocabulary is.
    """
    if call.body.get("logit_bias"):
        raise Refusal(Reason.INVALID_PARAMETER, param="logit_bias", hint=NO_BIAS)


def one_prompt(prompt: JSON) -> str:
    """The single string that `prompt` is or holds; Refusal for lists of prompts or of tokens."""
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise Refusal(Reason.INVALID_PARAMETER, param="prompt", hint=ONE_PROMPT)
    return prompt


def template_arguments(call: Call) -> Object:
    """The chat template's arguments that a caller may set: `enable_thinking` and `reasoning_effort`, nothing else.

    Asked for in docker/model-runner#1028: effort `none` switches thinking off in templates that know the switch; other
    templates ignore the variable. What a preset says to those (edge/presets/fitting.py) is an argument already: no
    caller's is let in.
    """
    arguments: Object = {}
    wishes = as_object(call.body.get("chat_template_kwargs"))
    wish, effort = wishes.get("enable_thinking"), call.body.get("reasoning_effort")
    if isinstance(wish, bool):
        arguments["enable_thinking"] = wish
    if effort == "none":
        arguments["enable_thinking"], effort = False, wishes.get("reasoning_effort")
    if isinstance(effort, str):
        arguments["reasoning_effort"] = three_levels(effort)
    return arguments


def three_levels(effort: str) -> str:
    """`effort` as low, medium or high: what models are trained on; OpenAI's newer names fall onto the nearest."""
    return {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)


def narrow_tools(call: Call, body: Object) -> None:
    """Do what can be done of `tool_choice` for an engine that ignores it.

    `none` takes the tools away and a named one leaves only that tool, both exact. `required` cannot be enforced; it is
    treated as `auto`, as agents that send it check for tool calls anyway, and the same engine without us does so too.
    """
    choice = call.body.get("tool_choice")
    if choice == "none":
        body.pop("tools", None)
        return
    name = as_object(as_object(choice).get("function")).get("name")
    tools = body.get("tools")
    if isinstance(name, str) and isinstance(tools, list):
        body["tools"] = [t for t in tools if as_object(as_object(t).get("function")).get("name") == name] or tools
