"""The keys on disk, in the database of `edge/store`.

    statements.py   every statement, so that a test can compile them all for each dialect
    rows.py         rows <-> records
    writing.py      what several stores write
    store.py        KeyStore
    configured.py   ConfiguredKeys: what the configuration says, done;   stacks.py  StackKeys: for Compose stacks
    opening.py      home + URL -> KeyStore

Nothing here runs on the request path: requests are answered from `edge/identity/directory.py`.
"""
