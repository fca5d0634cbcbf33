"""How requests, answers and errors look on the wire. Pure.

contract.py   the seam: a dialect's request becomes a chat body (`Translated`), a `Rendering` says a chat answer in it
registry.py   which rendering belongs to a call
errors.py     the one place that turns an error into an answer
chat.py, openai.py   OpenAI's, the internal form itself
anthropic/, ollama/  request.py, answer.py, models.py of each
turns.py, said.py    what several of them make of a conversation, and read in an answer
timing.py     how long the parts of an answer took
writing.py    documents as bytes
"""
