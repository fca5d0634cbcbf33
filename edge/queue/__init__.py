"""A bounded turn on the engine. `gate.py`: first come, first served per engine (fairness comes with issue 4)."""
