"""The ground floor: the types that travel, the reasons, and the decision itself. Pure: no I/O, no clock.

    json.py       JSON   the type of a parsed document
    reasons.py    Reason, Cause   the closed list of why the gateway says no, and how each is rendered
    errors.py     GatewayError -> Refusal (the caller's doing) | UpstreamError (the engine's)
    principal.py  Principal, Scope   who is calling
    call.py       Call, Operation, Dialect   what is asked
    names.py      canonical model names, globs
    sources.py    source_of(): which peer addresses count as one
    decision.py   decide() -> Permit | Denial   may they?
    exchange.py   Exchange   one request on its way through the house

`policies` imports none of our other packages; they may all import it.
"""
