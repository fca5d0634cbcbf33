"""What one request costs, counted instead of timed: `make budget` (docs/decisions/0046-instruction-budget.md).

counter.py    the program that a gateway runs under: counts each thread's bytecode instructions and calls of C functions
remote.py     asks it, from the process that plays caller and engine
engine.py     an engine that says one piece of an answer at a time, when it is told to
plays.py      the workloads: what is sent, and which readings are one sample
measuring.py  a gateway with everything on, all plays, and what each of them costs
figures.py    budget.json: the figures allowed, and how a measurement compares with them
functions.py  where it goes: functions by their own instructions, and two measurements compared
"""
