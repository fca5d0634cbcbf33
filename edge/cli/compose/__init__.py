"""The Compose provider: `provider: {type: llm-gateway}` of a service. Docker Compose calls `llm-gateway compose ...`.

    options.py   what `options` may hold: one table for the parser and for `metadata`
    messages.py  what is said to Compose: JSON lines on standard output
    place.py     which gateway, and with which key: never from the Compose file
    provider.py  up and down
    parser.py    the command

The protocol: docs/extension.md and pkg/compose/plugins.go of docker/compose.
"""
