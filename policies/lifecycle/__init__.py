"""What a change of the policy does, and why a request got its answer: pure, over recorded decisions.

replay.py    compare(record, answer) -> Flip | None   would this decision have been another one?
report.py    Report   flips counted, by reason and both ways, with examples: as a document and as text
explain.py   explain() -> Explanation   what was asked, who decided, what matched, what was missing
nearness.py  near_misses()   which conditions of which grant failed
experiment.py  single_changes(), what_would_help()   for any policy: change one thing and ask again
export.py    records as OPA's decision-log events, and back
diff.py      difference(old, new)   two bundles: files, data, grants
text.py      clean()   what callers sent, made safe for a terminal
"""
