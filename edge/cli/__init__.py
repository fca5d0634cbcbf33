"""The command line: one module per group of commands; `main.py` puts them together."""
