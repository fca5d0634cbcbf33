"""Who computes. The vocabulary:

    contract.py    Engine, Target, UpstreamRequest, Timeouts, Adapter, Transport   the types and the two seams
    adapters/      one module per kind of engine: its routes, its quirks, how its errors read
    transport.py   the one place that asks an engine (takes a Permit);  pool.py  keeps connections;  wire.py  is one
    deadline.py    one cheap timer for all the waits of a connection
    breaker.py     which engine to pass over, since it fails again and again
    catalogue.py   which models exist, under which canonical names, on which engines
    discovery.py   looks for the known engines on their default ports; probes
    naming.py      what a name is made of: a model or an alias, and presets
    pulling.py     has an engine fetch a model
    refresher.py   keeps the catalogue true
    tiny/          the project's own tiny model;  demo.py  serves it by a real engine process

Imports only `policies`.
"""
