"""How answers and errors look on the wire. `errors.py` is the one place that turns an error into an answer."""
