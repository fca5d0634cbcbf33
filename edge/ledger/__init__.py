"""The ledger: every admitted request is on disk before an engine sees it, and is settled whatever happens.

entry.py   Hold, Progress, Settled, LedgerDown; the seam `Ledger` and its test double
"""
