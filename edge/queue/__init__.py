"""A turn on the engine, and how many requests one caller may have under way.

contract       what a request asks for (`Wish`) and what it holds (`Ticket`)
order          who goes next: pure; with `attained` (service per caller), `residency` (loaded models), `drain` (rate)
engine_queue   the line of one engine: futures, timers, clock
shared_order   `order` for one of several gateways with a Redis: bids for slots; `news` is what they tell each other
shared_queue   `engine_queue` for them; `redis_turns`, turns.lua count the slots; `sharing` makes the queues and listens
opening        one kind or the other, as configured
gate           the slots of one credential
settings       all of it, as configured
"""
