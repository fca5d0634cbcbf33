"""Which policy is in force, how the line asks it, and the tools to change it without surprises.

The line
    opening.py       settings, state folder and database in, an enforcement point out
    enforcement.py   Enforcement: builds the question, has it answered and recorded, hands out the Permit
    surroundings.py  what a question may know of when and where
    obligations.py   honour(): the obligations that change the request itself

What runs
    engines.py       which engine decides: the settings, and what is installed
    service.py       PolicyService: one engine for one revision, swapped whole
    active.py        ActivePolicy: the policy in force, for everyone who has to know
    source.py        PolicySource: where it comes from: folder > applied > default
    watcher.py       PolicyWatcher: notices a change, whoever made it, within a second
    configured.py    what the configuration's `policy:` section adds to a policy's data
    folder.py        a folder of *.rego files <-> Bundle;   folder_data.py  its data.json or data.yaml
    shadow.py        Shadow: a candidate beside the live policy;   shadowing.py  which one just now

What is kept
    store.py         PolicyStore: revisions, history, drafts, the shadow, the fleet, in the database; with
                     store_statements.py and store_types.py
    instances.py     the OPAs of the fleet: what each said last
    signing_key.py   the key that signs bundles for them

The life cycle
    lifecycle.py     PolicyLifecycle: draft, check, test, replay, shadow, apply, roll back, explain; its parts are
                     lifecycle_refs.py, lifecycle_replay.py, lifecycle_explain.py, lifecycle_types.py and
                     lifecycle_workshop.py, the seam to the scratch children
    errors.py        PolicyToolError: what is wrong, and what to do next

What an answer means is decided in `policies/decision.py`, what becomes of a question in `policies/pdp.py`.
"""
