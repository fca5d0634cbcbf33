"""Numbers about what happened: bounded series that `/metrics` shows and OTLP sends.

catalogue.py    every metric there is: name, unit, labels, bounds; the only place where they are named
naming.py       their names in Prometheus' spelling
instruments.py  Counter and Histogram: what counts, in the event loop
registry.py     Registry: all instruments, and what is read when somebody asks
snapshot.py     what was counted, as plain values: what the two ways out read
exposition.py   those values as text (OpenMetrics, and Prometheus' older format)
observer.py     RequestMetrics: is told of every finished request
process.py      memory, descriptors, garbage collections, a late event loop

A new metric: a line in the catalogue, who counts it (an instrument) or tells it (`Registry.read`), and its row in
docs/observing.md.
"""
