"""`python -m engines.tiny --host HOST --port PORT`: becomes a real server of the tiny model, in this process."""

from __future__ import annotations

import argparse
import os

from engines.tiny import serve


def argv(host: str, port: int) -> list[str]:
    """The command line of whichever server is installed. SystemExit if none is."""
    installed = serve.available()
    if "mlx_lm.server" in installed:
        return serve.mlx_lm_argv(port, host)
    if "llama_cpp.server" in installed:
        return serve.llama_cpp_argv(port, host)
    raise SystemExit("the tiny model needs mlx-lm or llama-cpp-python: install llm-gateway[mlx] or [llama-cpp]")


def main() -> None:
    """Never returns: the server takes this process, so that signals are its own."""
    parser = argparse.ArgumentParser(prog="python -m engines.tiny", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    args = parser.parse_args()
    server = argv(args.host, args.port)
    os.execve(server[0], server, {**os.environ, **serve.environment()})  # noqa: S606 - our own command line


if __name__ == "__main__":
    main()
