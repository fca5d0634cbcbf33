"""The ledger: every admitted request is on disk before an engine sees it, and is settled whatever happens.

entry.py       Hold, Progress, Settled, LedgerDown; the seam `Ledger` and its test double
rows.py        entries -> rows; which holds a stretch of the journal leaves open (pure)
statements.py  every statement, and the text of the one that is sent per request
journal.py     the connection that appends
inline.py      group commit on the event loop
writer.py      the thread that has the rest: what waits for a lock or a database that is away
keeper.py      what that thread does in between: heartbeat, voiding holds that nobody was told about
presence.py    who writes, and who of them is gone
ledger.py      JournalLedger: all that as the event loop sees it
recovery.py    settles what instances that are gone left open; what was spent before this start
rollup.py      retention: old settlements become sums per day
care.py        the task that does both while the gateway runs
usage.py       who used how much
estimates.py   how far estimates of prompts were off
"""
