"""The engine's events -> the caller's bytes, metered as they go.

sse.py         bytes -> events (text/event-stream framing), pure
chunks.py      one engine event -> what the caller may see of it; usage, finish, errors; pure
deltas.py      the fields of a choice that go on, and all the text in them, pure
aggregate.py   a stream of chunks -> one complete answer, pure
answer.py      a complete answer of the engine -> the caller's, pure
ranking.py     numbers about texts (rerank, score, tokenize) -> the caller's, pure
fragments.py   calls of tools as OpenAI's own clients expect them, pure
finishes.py    why an answer ended, in OpenAI's words, pure
tape.py        what the caller was given, for a capture, pure
meter.py       generated tokens against what is held, pure;  counting.py  asks an engine's tokenizer
usage.py       token counts out of what engines send;  prompt.py  the text to count where they send none; pure
native/        the same where the engine speaks the caller's own dialect
relay.py       the flow itself: transport in, inbound out
"""
