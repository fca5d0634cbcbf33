"""What goes on right now, for `llm-gateway top` and `tail`. Costs nothing while nobody looks.

phases.py     phase_of(): how far a running exchange has come
snapshot.py   what is seen at one instant, and the document of it
minute.py     Minute: tokens per caller in the last minute, counted while somebody asks
filters.py    Filter: which finished requests somebody wants to see
watching.py   Watchers: finished requests as lines, to each who watches; bounded
"""
