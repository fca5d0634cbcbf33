"""Kept responses: what `previous_response_id` goes on from, and what their owner can look up and delete.

    settings.py     for how long, how many, how much
    statements.py   SQL
    store.py        the rows. Blocking
    shelf.py        what the line asks of the store, beside the event loop
    answers.py      the routes of one response
    following.py    what a request goes on from, and how its answer is kept
    opening.py      settings and database -> the shelf

docs/decisions/0035 says why they are in the database, and what is and is not kept.
"""
