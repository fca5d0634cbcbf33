"""`python -m edge` is `llm-gateway`."""

from edge.cli.main import run

if __name__ == "__main__":
    run()
