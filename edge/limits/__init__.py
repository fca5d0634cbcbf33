"""What callers have used, and whether there is more: sliding windows and concurrency leases.

    settings.py      what the configuration says
    rules.py         which bounds a request falls under
    estimate.py      what prompts and answers will probably cost
    standing.py      how full everything is, for `/v1/me`
    words.py         limits in headers and in words
    contract.py      the words: bounds, asks, answers; the seams Budget and Leases
    ring.py          one count in one window
    windows.py       all counts of one process; hold, extend, settle as pure steps
    clock.py         logical time, which never goes back
    memory.py        both seams in memory
    clock.lua        clock.py again, for Redis: in front of both scripts
    budget.lua       windows.py again, for Redis
    leases.lua       seats in Redis
    scripts.py       the line to Redis
    backlog.py       settlements that wait for Redis
    redis_budget.py  Budget in Redis
    redis_leases.py  Leases in Redis
    fallback.py      while Redis is away
    opening.py       what the configuration names

docs/decisions/0019-limits.md says why.
"""
