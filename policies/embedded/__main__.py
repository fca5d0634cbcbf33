"""`python -m policies.embedded serve ...`: decide on a UNIX socket. `... scratch`: the workshop's child.

Exit codes of `serve`: 0 told to stop (SIGTERM, or standard input closed), 1 the policy does not load, 2 wrong usage.
Ended by SIGPROF: a decision took too long; SIGSEGV: it recursed without end; SIGABRT: it ran out of memory.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from policies.embedded.fence import deadline, raise_fence, tied_to_parent
from policies.json import JSON, as_object

_MAX_BUNDLE: Final = 16 << 20
_MEMORY: Final = 512 << 20
_LOAD_SECONDS: Final = 10.0
_SCHEME: Final = "unix://"
_FAILED, _USAGE = 1, 2
OUT_OF_MEMORY: Final = 71


def main(arguments: Sequence[str]) -> int:
    """Run the command in `arguments`; its exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "scratch":
        return _scratch(options.memory_bytes, options.cpu_seconds)
    if not tied_to_parent(sys.stdin.fileno()):
        return _say("standard input must be a pipe: its end is how this process learns that its parent died", _USAGE)
    raise_fence(memory_bytes=options.memory_bytes)
    if not options.addr.startswith(_SCHEME + "/"):
        return _say("--addr must be unix:///path.sock", _USAGE)
    return _serve(Path(options.addr.removeprefix(_SCHEME)), options.bundle, options.decision_seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m policies.embedded", description="The embedded Rego engine.")
    commands = parser.add_subparsers(required=True, dest="command")
    serve = commands.add_parser("serve", help="decide on a UNIX socket")
    serve.add_argument("--addr", required=True, help="unix:///path.sock")
    serve.add_argument("--bundle", required=True, type=Path, help='{"modules": {name: text}, "data": {...}}')
    serve.add_argument("--decision-seconds", type=_positive, default=0.25, help="a longer decision ends the process")
    scratch = commands.add_parser("scratch", help="the workshop's child: jobs on standard input")
    scratch.add_argument("--cpu-seconds", type=_positive, help="CPU time in all; without it only decisions are limited")
    for command in (serve, scratch):
        command.add_argument("--memory-bytes", type=int, default=_MEMORY, help="address space, on Linux only")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def _scratch(memory_bytes: int, cpu_seconds: float | None) -> int:
    raise_fence(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds)
    from policies.embedded.scratch import main as scratch  # behind the fence: what it loads counts, too

    try:
        return scratch()
    except MemoryError:
        return OUT_OF_MEMORY


def _serve(path: Path, file: Path, decision_seconds: float) -> int:
    # Late, so that --help and wrong usage need no engine.
    from policies.embedded.rego import Policy, RegoError, forbid
    from policies.embedded.server import Decider, listen, serve

    try:
        with deadline(_LOAD_SECONDS):
            modules, data = _read(file)
            forbid(modules)
            policy = Policy(modules, data)
            policy.warm()
    except RegoError as error:
        return _say(str(error), _FAILED)
    except (OSError, ValueError) as error:
        return _say(f"{file}: {error}", _FAILED)
    try:
        listener = listen(path)
    except OSError as error:
        return _say(f"{path}: {error}", _USAGE)
    try:
        serve(Decider(policy, decision_seconds=decision_seconds), listener, sys.stdin.fileno())
    finally:
        path.unlink(missing_ok=True)
    return 0


def _read(file: Path) -> tuple[dict[str, str], dict[str, JSON]]:
    """The modules and the data of a bundle file. OSError or ValueError."""
    with file.open("rb") as stream:
        content = stream.read(_MAX_BUNDLE + 1)
    if len(content) > _MAX_BUNDLE:
        raise ValueError("the bundle is too large")
    bundle = as_object(orjson.loads(content))
    modules, data = bundle.get("modules"), bundle.get("data", {})
    if not isinstance(modules, dict) or not isinstance(data, dict) or bundle.keys() - {"modules", "data"}:
        raise ValueError('a bundle is {"modules": {name: text}, "data": {...}}')
    texts = {name: text for name, text in modules.items() if isinstance(text, str)}
    if len(texts) != len(modules):
        raise ValueError("a module is not a text")
    return texts, data


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"policy engine: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
