"""Other gateways, each run in front of the same engine as ours and the same way as a `Contender`: `make bench-peers`
installs them, `installed()` says which there are, docs/decisions/0045 what is switched on in each and what is not.

    peer.py      what a peer is, and its process: a clean environment, loopback, gone with its children
    litellm.py   LiteLLM's proxy (Python), from .cache/peers/litellm
    portkey.py   Portkey's gateway (Node.js), from .cache/peers/portkey; portkey.cjs is loaded into it
    bifrost.py   Bifrost (Go), from .cache/peers/bifrost
    npm/         the lock file of what Node.js runs
    go/          which modules of Bifrost's repository are built together

Left out of `make test`, as all of tests/benchmarks: `make bench-peers` ends with test_peers.py.
"""

from tests.benchmarks.peers.bifrost import BIFROST
from tests.benchmarks.peers.litellm import LITELLM
from tests.benchmarks.peers.peer import Peer
from tests.benchmarks.peers.portkey import PORTKEY

PEERS = (LITELLM, PORTKEY, BIFROST)


def installed() -> list[Peer]:
    """The peers that can be run here: `with peer(folder, target) as contender` for each."""
    return [peer for peer in PEERS if peer.version() is not None]


def missing() -> list[str]:
    """A line for each of the others: its name, and how to install it."""
    return [f"{peer.name} is not installed: {peer.advice}" for peer in PEERS if peer.version() is None]
