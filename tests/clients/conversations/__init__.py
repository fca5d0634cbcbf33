"""One conversation with a tool, an error and a leaving, by each SDK in a process of its own: `python -m` one of these.

A process, because two major versions of a package cannot be imported into one; and so that each warning is an error.
"""
