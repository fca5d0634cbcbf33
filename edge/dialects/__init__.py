"""How requests, answers and errors look on the wire. Pure.

contract.py   the seam: a dialect's request becomes a chat body (`Translated`), a `Rendering` says a chat answer in it
registry.py   which rendering belongs to a call
stock.py      the seam of what is said while a model is fetched or deleted (`StockRendering`)
errors.py     the one place that turns an error into an answer
chat.py, openai.py   OpenAI's, the internal form itself
anthropic/, ollama/, responses/  the dialects that are translated
ranking.py    rerank and score in one spelling each
model_runner/ Docker Model Runner's own routes, which no model answers
turns.py      what they make of a conversation, its tools and its form
said.py       what they read in an answer
timing.py     how long the parts of an answer took
writing.py    documents as bytes
"""
