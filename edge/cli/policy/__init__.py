"""`llm-gateway policy ...`: the life cycle of policies from the command line.

    parser.py      the actions, their options and their help
    command.py     configuration, state folder and database -> PolicyLifecycle; dispatch; exit codes
    trying.py      init, check, test, eval, replay, diff, bundle
    changing.py    apply, rollback, shadow, draft
    looking.py     status, history, explain, decisions
    printing.py    tables, JSON, times, progress

Works on the database directly, whether or not a gateway runs: one that does follows within a second. Exit codes: 0
done, 1 problems found or refused, 2 wrong usage, bad configuration or unusable state.
"""
