"""Where the request path spends its time: `python -m tests.benchmarks.profile [--seconds N] [--top N]`.

The gateway runs under cProfile while wrk presses whole chat answers through it; the profiler itself costs about half
of the throughput, so read the shares and not the absolute times. Needs nginx (as the engine) and wrk.
"""

from __future__ import annotations

import argparse
import json
import os
import pstats
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str]) -> int:
    """Run, and print the functions by their own time; exit code 2 when a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long to press (default 5)")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--top", type=int, default=35, help="how many functions to print (default 35)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="llm-gateway-profile-") as name:
        folder = Path(name)
        stats = folder / "gateway.prof"
        # Read by tests.system.process when it is imported, hence before the imports below.
        os.environ["LLM_GATEWAY_COMMAND"] = f"{sys.executable} -m cProfile -o {stats} -m edge"
        from tests.benchmarks import nginx

        if missing := nginx.missing():
            sys.stderr.write(
                f"missing: {', '.join(missing)}. Install: apt-get install nginx wrk (macOS: brew install)\n"
            )
            return 2
        _press(folder, args.connections, args.seconds)
        pstats.Stats(str(stats)).strip_dirs().sort_stats("tottime").print_stats(args.top)
    return 0


def _press(folder: Path, connections: int, seconds: float) -> None:
    from tests.benchmarks import load, nginx
    from tests.benchmarks.contenders import gateway_to

    with nginx.origin(folder / "origin") as origin:
        gateway = gateway_to(folder / "gateway", origin.port)
        try:
            gateway.start().ready()
            # A key made by a second, profiled process would overwrite the profile: the first one is good enough.
            key = json.loads(gateway.out.text.splitlines()[0])["first_key"]
            seen = load.press(gateway.address[1], key, folder, connections=connections, seconds=seconds)
            sys.stdout.write(f"{seen.per_second:.0f} requests/s under the profiler, {seen.errors} errors\n\n")
            gateway.stop()
        finally:
            gateway.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
