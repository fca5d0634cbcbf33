"""The decision log: every decision with its input, revision, result, engine and time taken, in a bounded folder.

    settings.py   DecisionLogSettings   how long and how much is kept
    segments.py   Segment, prune()      one file of JSON lines; which files go
    log.py        DecisionLog           write(), write_durably(): the one who fills them
    reader.py     iterate(), find(), stats()   for `replay`, `explain`, export: blocking, for a thread or a command

A folder (0700) of files (0600) `decisions-<start, ms>-<pid>-<random>.jsonl`. Each file has one writer, which holds a
lock on it; so several processes share a folder, and any of them prunes what is no longer written.
"""
