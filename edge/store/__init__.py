"""The gateway's own state in a database: SQLite (WAL) in the state folder, or PostgreSQL; the same statements for both.

    schema.py       all tables, and the schema version this code wants
    statements.py   the statements of opening, and of the counters that tell other processes to look again
    database.py     opening a database: pragmas, transactions, errors
    opening.py      home + URL -> Database
    migrate.py      alembic, imported only when the schema is not at its head
    migrations/     the schema's history

What is kept in it belongs to its owner: keys to `edge/identity/store`, policies to `edge/policy`. Nothing here runs on
the request path.
"""
