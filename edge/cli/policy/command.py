"""Opens what the actions need, runs one, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias

from edge.cli.policy import changing, looking, trying
from edge.config.load import load
from edge.config.settings import Settings
from edge.identity.state import state_home
from edge.policy.engines import find_opa
from edge.policy.errors import PolicyToolError
from edge.policy.lifecycle import PolicyLifecycle
from edge.policy.lifecycle_workshop import ScratchWorkshop
from edge.policy.opening import DECISIONS, source_of
from edge.policy.store import PolicyStore
from edge.store.opening import open_database
from policies.lifecycle.experiment import Known

FAILED: Final = 1
USAGE: Final = 2
_Action: TypeAlias = "Callable[[argparse.Namespace, PolicyLifecycle], Coroutine[None, None, int]]"

_ACTIONS: Final[dict[str, _Action]] = {
    "init": trying.init,
    "check": trying.check,
    "test": trying.test,
    "eval": trying.evaluate,
    "replay": trying.replay,
    "diff": trying.diff,
    "bundle": trying.bundle,
    "apply": changing.apply,
    "rollback": changing.rollback,
    "shadow": changing.shadow,
    "draft": changing.draft,
    "status": looking.status,
    "history": looking.history,
    "explain": looking.explain,
    "decisions": looking.decisions,
}


def run(args: argparse.Namespace) -> int:
    """Run one action on the database and state folder that `up` with the same configuration uses.

    Returns the exit code. ConfigError and StateError go to the caller, who says them.
    """
    settings = load(args.config, os.environ)
    home = state_home(os.environ)
    database = open_database(home, settings.stores.database)
    try:
        source = source_of(settings, PolicyStore(database))
        workshop = ScratchWorkshop(opa=find_opa(settings.policy) if args.action == "check" else None)
        lifecycle = PolicyLifecycle(source, home / DECISIONS, workshop=workshop, folders=True, known=_known(settings))
        return asyncio.run(_ACTIONS[args.action](args, lifecycle))
    except PolicyToolError as error:
        sys.stdout.flush()  # what was found comes before what was refused, also in a file or a pipe
        print(f"llm-gateway policy: {error}", file=sys.stderr)
        return USAGE if error.usage else FAILED
    except KeyboardInterrupt:
        return FAILED
    finally:
        database.close()


def _known(settings: Settings) -> Known:
    listeners = tuple(listener.name for listener in settings.listeners)
    return Known(networks=tuple(settings.policy.networks), listeners=listeners)
