"""What a name in Docker's DNS says of a container. Pure.

Docker answers a PTR question with `<container>.<network>` (seen with 20.10). Compose names a container
`<project>-<service>-<number>`, version 1 with `_`, and gives it the service's name as an alias in each of its networks.
The parts may hold the separator, so a name alone says too little: every way to read it is a guess, and the alias
confirms it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Final, TypeAlias

from policies.origin import Container

Labels: TypeAlias = tuple[str, ...]

# Docker: "[a-zA-Z0-9][a-zA-Z0-9_.-]+"; a label of DNS has 63 characters at most, so more than this is odd.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_COMPOSED: Final = re.compile(r"(?P<head>.+)(?P<mark>[-_])[1-9][0-9]{0,4}", re.ASCII)
# Compose: project names "must contain only lowercase letters, decimal digits, dashes, and underscores, and must begin
# with a lowercase letter or decimal digit".
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
_SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_MOST: Final = 8
"""Guesses: each is a question. `a-b-c-d-e-f-g-h-web-1` is still read."""


def container_of(peer: Labels, own: Labels) -> Container | None:
    """The container called `peer`, where the gateway's own name in the same network is `own`; None if they share none.

    Both names end in the network's, which may hold dots as containers' names may: the longest common ending is taken.
    A name that another DNS gave for the address (a router's `laptop.lan`) does not end like our own.
    """
    same = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(peer), reversed(own), strict=False))
    shared = sum(1 for _ in same)
    if not 0 < shared < min(len(peer), len(own)):
        return None
    name, network = ".".join(peer[:-shared]), ".".join(peer[-shared:])
    if _NAME.fullmatch(name) is None or _NAME.fullmatch(network) is None:
        return None
    return Container(name, network)


def guesses(container: Container) -> list[Container]:
    """The ways to read the container's name as Compose's, the likeliest first."""
    match = _COMPOSED.fullmatch(container.name)
    if match is None:
        return []
    found = list(_split(container, match["head"], match["mark"]))
    # A network of the project's own begins with its name. Else services have short names more often than projects.
    found.sort(key=lambda each: (not container.network.startswith(f"{each.stack}_"), len(each.service)))
    return found if len(found) <= _MOST else []


def _split(container: Container, head: str, mark: str) -> Iterator[Container]:
    for at, letter in enumerate(head):
        stack, service = head[:at], head[at + 1 :]
        if letter == mark and _PROJECT.fullmatch(stack) and _SERVICE.fullmatch(service):
            yield Container(container.name, container.network, stack, service)
