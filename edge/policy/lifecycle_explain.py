"""`explain`: the records of a request, with what the policy that decided says about them now."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

from edge.policy.errors import PolicyToolError
from edge.policy.lifecycle_workshop import Running, Workshop
from edge.policy.source import PolicySource
from observability.decisions.reader import find
from policies.bundle import Bundle
from policies.engine import PolicyEngineError
from policies.json import JSON
from policies.lifecycle.experiment import Change, Known, single_changes, what_would_help
from policies.lifecycle.explain import Explanation, deciding, explain
from policies.lifecycle.export import FLEET
from policies.record import Record

_LOOK_BACK = 1_000


async def explain_request(
    request_id: str, source: PolicySource, decisions: Path, workshop: Workshop, known: Known
) -> Explanation:
    """Why request `request_id` got its answer. PolicyToolError if nothing of it is recorded."""
    # The gateway's own word comes first: what an OPA reports may carry any id.
    records = await asyncio.to_thread(find, decisions, request_id)
    records = records or await asyncio.to_thread(find, decisions / FLEET, request_id)
    if not records:
        raise PolicyToolError(
            "no decision of that request is recorded",
            "give the x-request-id of an answer; `policy decisions` lists those that are kept",
            usage=True,
        )
    record = deciding(records)
    bundle = await asyncio.to_thread(_bundle_of, source, record.revision)
    try:
        async with workshop.running(bundle) as policy:
            rules = await _rules(policy, record)
            helps = await _helps(policy, record, known.with_grants(bundle.data))
    except PolicyToolError:  # it does not run any more: what was recorded is still worth telling
        rules, helps = None, []
    return explain(records, rules=rules, data=bundle.data, revision=bundle.revision, helps=helps)


def _bundle_of(source: PolicySource, revision: str) -> Bundle:
    """The policy that decided: what is in force or was, as it ran; else what is in force."""
    _, policy = source.load()
    if policy.bundle.revision == revision:
        return policy.bundle
    default = source.with_data(source.default)
    if default.revision == revision:
        return default
    for name in dict.fromkeys(entry.revision for entry in source.store.history(_LOOK_BACK)):
        if name is not None:
            own = source.store.find(name).bundle
            for bundle in (own, source.with_data(own)):
                if bundle.revision == revision:
                    return bundle
    return policy.bundle


async def _rules(policy: Running, record: Record) -> JSON:
    try:
        return await policy.rules(orjson.dumps(record.input))
    except PolicyEngineError:
        return None


async def _helps(policy: Running, record: Record, known: Known) -> list[Change]:
    if record.allow:
        return []
    changes = single_changes(record.input, known)
    return what_would_help(changes, await policy.evaluate_many([orjson.dumps(change.input) for change in changes]))
