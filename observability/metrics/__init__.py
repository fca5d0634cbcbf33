"""Numbers about what happened: bounded series that `/metrics` shows and OTLP sends.

catalogue.py    every metric there is: name, unit, labels, bounds; the only place where they are named
snapshot.py     what was counted, as plain values: what the two ways out read
naming.py       their names in Prometheus' spelling
"""
