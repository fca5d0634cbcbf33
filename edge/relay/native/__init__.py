"""An engine's answer in the caller's own dialect -> what the caller may see of it (docs/decisions/0036).

contract.py    what a reading of such an answer is
anthropic.py   Anthropic's events and messages, pure
ollama.py      Ollama's lines and documents, pure;  lines.py  bytes -> lines, pure
ways.py        which way a call goes, and which reading its answer gets
flow.py        the flow itself
"""
