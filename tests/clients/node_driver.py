"""The official packages for JavaScript, run by Node from the folder that js/install.sh filled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from policies.json import Object
from tests.clients.report import Place
from tests.system.process import ROOT
from tests.system.wire import loads

FOLDER = Path(os.environ.get("LLM_GATEWAY_JS_CLIENTS", ROOT / ".clients"))
SCRIPTS = Path(__file__).parent / "js"


def drive(place: Place, *, script: str = "openai.mjs", package: str = "openai") -> Object:
    """Run one of js/; its report."""
    node = FOLDER / "node"
    assert node.exists(), f"not installed: run tests/clients/js/install.sh {FOLDER}"
    done = subprocess.run(
        (str(node), str(SCRIPTS / script)),
        env={
            "BASE_URL": place.base_url,
            "API_KEY": place.key,
            "NARROW_KEY": place.narrow_key,
            "MODEL": place.model,
            "EMBEDDINGS": "1" if place.embeddings else "0",
            "PACKAGE": package,
            "CLIENTS_FOLDER": str(FOLDER),
            "HOME": str(FOLDER),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return loads(done.stdout)
