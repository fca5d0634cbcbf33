"""A pytest plugin: `pytest -p tests.edge.listener.on_uvloop` runs every test on uvloop."""

from __future__ import annotations

import asyncio

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
