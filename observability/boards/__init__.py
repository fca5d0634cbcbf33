"""The dashboards for Grafana, written down once: `python -m observability.boards` writes them into ../grafana/.

    panels.py      queries, panels, variables, and how they lie on a board
    overview.py    is it well, how fast, how much, who says no
    callers.py     who used what, and how long did they wait
    computing.py   engines and their lines: is the machine the bottleneck
    security.py    policy, credentials, the door
    request.py     from a slow spot to the one request

Names of metrics stand in their expressions as in `/metrics`; tests hold them against ../metrics/catalogue.py.
"""
