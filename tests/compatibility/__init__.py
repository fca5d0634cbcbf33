"""Every dialect in front of every kind of engine, and the page that says what came of it (docs/compatibility.md).

grid.py         the cells: surface, kind of engine, scenario, and what a cell may come to
surfaces.py     what a caller of each surface sends, and what it reads in the answers (said.py)
tap.py          a wire that watches and cuts, between the gateway and a real engine
stages.py       an engine behind a gateway: a real one (real.py), or one that plays its kind (scripted.py)
page.py         the outcomes as the committed page
"""
