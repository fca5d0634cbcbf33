"""What the gateway costs, beside nginx doing the plain part of the same work: `python -m tests.benchmarks [--quick]`.

    __main__.py   the run: who is measured, in which order, and the goals
    contenders.py direct | nginx | gateway: the same origin reached three ways
    nginx.py      nginx as origin (canned answer: never the bottleneck) and as control (proxy_pass)
    origin.py     a streaming engine on raw asyncio protocols that stamps every event with the time it left
    load.py       requests per second and latency, by wrk
    streams.py    time to first byte, transit time and gaps of streamed events, by raw sockets
    dialects.py   a streamed chunk from an engine's bytes to a caller's, in each dialect
    report.py     the table and the JSON document

Only ratios to nginx and differences to the direct way say anything: absolute numbers are the machine's.
"""
