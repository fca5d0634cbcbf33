"""The workloads, each a module with `measure(plan, folder) -> Object`: rows (samples.py) and notes. By the letters of
`--only`:

    a  whole.py       a small chat, not streamed
    b  streamed.py    streams at 50 tokens a second
    c  bodies.py      large requests
    d  translated.py  streams in the callers' other dialects
    e  idle.py        streams that say nothing
    f  many.py        many keys, many grants
    g  refused.py     requests that are refused
    h  started.py     start and memory
    i  workers.py     two gateways that count in one Redis
    j  soak.py        an hour of everything (only with --soak)
    w  where.py       where the time of a and b goes, by part of the house
    p  parts.py       single parts of the gateway, in its own process
"""
