"""The ground floor: the types that travel, the reasons, and the decision itself. Pure, but for the adapters below.

    json.py       JSON   the type of a parsed document
    reasons.py    Reason, Cause   the closed list of why the gateway says no, and how each is rendered
    errors.py     GatewayError -> Refusal (the caller's doing) | UpstreamError (the engine's)
    principal.py  Principal, Scope   who is calling;  origin.py  Container  from where, as far as that is known
    call.py       Call, Operation, Dialect   what is asked
    names.py      canonical model names, globs
    text.py       one_line(): what others wrote, fit to be shown
    sources.py    source_of(): which peer addresses count as one
    exchange.py   Exchange   one request on its way through the house;  trace.py  its place in a distributed trace

may they?
    input.py, result.py, obligations.py   the documents of the decision protocol, v1 (schemas/, docs/policy.md)
    decision.py   within_bounds, judge() -> Permit | Denial | Redirect
    pdp.py, cache.py   DecisionPoint   asks an engine, remembers, fails closed
    record.py     Record   a decision as it is written down

what decides
    bundle.py, archive.py, signing.py   a policy as one value, as an OPA bundle, signed
    grants.py, rego/   the default policy and the data it reads
    lifecycle/    replay, explain, diff, export: what records tell; pure
    engine.py     PolicyEngine   the seam
    opa/          OPA's data API: a remote one, `opa` or the embedded engine as a child (I/O)
    embedded/     the embedded engine's program, and the workshop that checks and tests policies (I/O, children)
    child.py, leash.py   processes that never outlive us (I/O)

`policies` imports none of our other packages; they may all import it.
"""
