"""What the gateway costs, beside nginx doing the plain part of the same work: `make bench`.

    __main__.py   the run: which workloads, and the document (JSON)
    plan.py       how much is measured, and in which order
    contenders.py direct | nginx | gateway | peers: the same engine reached several ways; what they take
    cores.py      the contender on a processor of its own, on Linux
    nginx.py      nginx as control (proxy_pass), as collector, and as an engine with a canned answer
    origin.py     the engine, and what is asked of it;    go/engine    the engine itself
    readers.py    streams as callers feel them;           go/reader    the reader itself
    programs.py   builds the two
    load.py       requests per second and latency, by wrk
    workloads/    a to j, each a module; where the time goes; and the parts
    spy.py        py-spy, which looks at a gateway from outside;  house.py  what it saw, by part of the house
    profile.py    flame graphs and tables of functions: `make profile`
    samples.py    medians, spreads, ratios, slopes
    goals.py      what is to be reached
    sections.py   which figures of a workload are shown
    report.py     tables
    page.py       docs/benchmarks.md, from the document;  plots.py     its plots
    machine.py    where, and with which versions

The parts, in one process: accounts.py, decisions.py, dialects.py, fleet.py, passing.py, telemetry.py, tracing.py.

Only ratios to nginx and differences to the direct way say anything: absolute numbers are the machine's.
"""
