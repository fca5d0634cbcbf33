"""Which policy is in force, how it came to be, and the tools to change it without surprises.

    errors.py       PolicyToolError: what is wrong, and what to do next
    folder.py       a folder of *.rego files <-> Bundle
    configured.py   what the configuration's `policy:` section adds to a policy's data
    store.py        PolicyStore: revisions, history, drafts, the shadow, the fleet, in the database
    source.py       PolicySource: the policy in force: folder > applied > default
    watcher.py      PolicyWatcher: notices a change, whoever made it, within a second
    shadow.py       Shadow: a candidate beside the live policy; counts what it would have decided otherwise
    lifecycle.py    PolicyLifecycle: draft, check, test, replay, shadow, apply, roll back, explain

Nothing here decides a request: that is `policies/pdp.py`, with what the watcher hands over.
"""
