"""The keys on disk: SQLite (WAL) in the state folder, or PostgreSQL; the same statements for both.

    schema.py       tables, and the schema version this code wants
    statements.py   every statement, so that a test can compile them all for each dialect
    database.py     opening a database: pragmas, transactions, errors
    migrate.py      alembic, imported only when the schema is not at its head
    migrations/     the schema's history
    rows.py         rows <-> records
    store.py        KeyStore
    opening.py      home + URL -> KeyStore

Nothing here runs on the request path: requests are answered from `edge/identity/directory.py`.
"""
