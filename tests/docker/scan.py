"""What an image of ours must not hold: `docker export CONTAINER | python -m tests.docker.scan`.

Setuid or setgid programs, paths that everybody may write to, caches of package managers, secrets, and compiled modules
that would be checked against a time.
"""

from __future__ import annotations

import re
import stat
import sys
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Final

_CACHES: Final = re.compile(
    r"(var/cache/(apt|apk|debconf|dnf|yum)|var/lib/apt/lists|root/\.cache|home/[^/]+/\.cache)/."
)
_WHEEL: Final = re.compile(r"\.(whl|deb|rpm|apk)\Z")
_SECRET_NAME: Final = re.compile(
    r"(\A|/)(id_(rsa|ecdsa|ed25519)|\.netrc|\.pypirc|pip\.conf|\.docker/config\.json|\.git|\.env|pepper|gateway\.db)(/|\Z)"
)
_SECRET_TEXT: Final = (
    re.compile(rb"-----BEGIN (?:RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    re.compile(rb"lgw_[A-Za-z0-9]{10}_[A-Za-z0-9]{40}"),
)
_SECRET_URL: Final = re.compile(rb"://[^/\s:@'\"<>{}$%]{1,64}:[^/\s:@'\"<>{}$%]{6,64}@[a-z0-9-]+\.[a-z]")
_LARGEST: Final = 4 << 20  # of a file that is looked into; what is larger is a program or a model
_EXAMPLES: Final = ("usr/share/", "usr/lib/python3", "usr/local/lib/python3")
"""The base's own documentation, and Python's own, which quote such URLs."""


def findings(archive: IO[bytes]) -> Iterator[str]:
    """One line for each thing that must not be there."""
    with tarfile.open(fileobj=archive, mode="r|*") as members:
        for member in members:
            yield from of_member(member)
            if member.isfile() and member.size <= _LARGEST:
                file = members.extractfile(member)
                yield from of_content(member.name, b"" if file is None else file.read())


def of_member(member: tarfile.TarInfo) -> Iterator[str]:
    """By its name and its mode."""
    path = member.name
    if member.isfile() and member.mode & (stat.S_ISUID | stat.S_ISGID):
        yield f"{path}: setuid or setgid"
    if member.mode & stat.S_IWOTH and (member.isfile() or member.isdir()):
        yield f"{path}: everybody may write to it"
    if _CACHES.search(path) or _WHEEL.search(path):
        yield f"{path}: a package manager's cache"
    if _SECRET_NAME.search(path):
        yield f"{path}: the name of a secret"


def of_content(path: str, content: bytes) -> Iterator[str]:
    """By what a file holds."""
    if path.endswith(".pyc") and path.startswith("opt/") and content[4:8] != b"\x01\x00\x00\x00":
        yield f"{path}: is checked against its source's time"
    # GnuTLS tests itself with keys that it carries.
    if {".pyc", ".so"} & set(PurePosixPath(path).suffixes) or path.startswith(_EXAMPLES):
        return
    # Modules of libraries, which come from hash-pinned wheels, quote such URLs.
    in_url = not path.endswith(".py") and _SECRET_URL.search(content)
    if in_url or any(secret.search(content) for secret in _SECRET_TEXT):
        yield f"{path}: holds what looks like a secret"


if __name__ == "__main__":
    found = sorted(findings(sys.stdin.buffer))
    print(*found, sep="\n")  # noqa: T201 - a program
    sys.exit(1 if found else 0)
