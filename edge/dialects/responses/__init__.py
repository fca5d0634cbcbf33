"""OpenAI's Responses: requests into chat bodies, chat answers into responses and their events. Pure.

names.py     ids of responses and of items, and which response an item's id belongs to
request.py   a request, and what came before it, into a chat body
answer.py    chat chunks into events and the response
items.py     the items of an answer while it is written
kept.py      what is kept of a request, and how kept items are listed
"""
