"""The embedded Rego engine: regorus, always in a child process that may die (SECURITY.md, "The embedded Rego engine").

rego.py       Policy   one compiled policy and its decision; the only module that touches regorus
wire.py       requests and answers of the served protocol: strict, sans-io
server.py     the program that decides on a UNIX socket (`python -m policies.embedded serve`)
fence.py      limits that a child puts on itself: memory, CPU, time per decision, its parent's death
findings.py   Problem, Reads, Inspection, CaseResult, TestReport: what a workshop run finds
workshop.py   inspect, run_tests, Evaluator: check, test and evaluate in scratch children
"""
