"""Sockets in. `inbound.py` is what the rest of the gateway sees of a request; nothing else knows aiohttp's server."""
