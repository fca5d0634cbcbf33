"""`llm-gateway top` and `llm-gateway tail`: what goes on in a running gateway.

parser.py      both commands' options
access.py      a key for looking: the one given, or one made for the owner of the state folder and deleted at the end
client.py      AdminClient: the two routes of `edge/admin/live.py`, over http.client
table.py       columns that fit a width; pure
screen.py      a snapshot -> lines of a screen; pure
line.py        a finished request -> one line; pure
terminal.py    the terminal while `top` has it
top.py, tail.py
"""
