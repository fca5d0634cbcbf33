"""A turn on the engine, and how many requests one caller may have under way.

contract       what a request asks for (`Wish`) and what it holds (`Ticket`)
order          who goes next: pure; with `attained` (service per caller), `residency` (loaded models), `drain` (rate)
engine_queue   the line of one engine: futures, timers, clock
gate           the slots of one credential
settings       all of it, as configured
"""
