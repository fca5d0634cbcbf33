"""A policy as an OPA bundle: the tar.gz that OPAs fetch. Pure, and reproducible: one policy, one sequence of bytes.

/.manifest            the revision, and the narrow roots: a bundle owns everything unless it says otherwise
/.signatures.json     where a signer is given
/gateway/...          the modules; no tests, which would run nowhere and tell what the policy guards
/gwcfg/data.json      the data; OPA loads only files of that name
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Mapping
from typing import Final, Protocol

from policies.bundle import DATA_ROOT, ROOTS, Bundle, canonical_json
from policies.json import Object

MANIFEST: Final = ".manifest"
SIGNATURES: Final = ".signatures.json"
_MODULES: Final = "gateway"
_REGO_VERSION: Final = 1
_LEVEL: Final = 9
# Segments that are neither empty nor hidden nor a way out, and the one suffix that OPA reads: another one it would
# skip without a word.
_NAME: Final = re.compile(
    r"(?:[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]*/)*[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]*\.rego"
)


class ArchiveError(ValueError):
    """The bundle cannot be an archive; says which file is why."""


class BundleSigner(Protocol):
    """What `signing.Signer` offers; named here so that nobody loads cryptography (70 ms) for an unsigned archive."""

    def signatures(self, files: Mapping[str, bytes]) -> bytes: ...


def archive(bundle: Bundle, signer: BundleSigner | None = None) -> bytes:
    """`bundle` as a gzipped tar, signed if there is a `signer`. Raises ArchiveError.

    Equal bundles and signers give equal bytes, up to the version of zlib that packs them.
    """
    try:
        contents = _files(bundle)
    except UnicodeEncodeError:
        raise ArchiveError("the policy holds half a surrogate pair, which is not Unicode text") from None
    if signer is not None:
        contents[SIGNATURES] = signer.signatures(contents)
    return _packed(_tar(contents))


def _files(bundle: Bundle) -> dict[str, bytes]:
    """Name without a leading slash -> content. Raises ArchiveError, UnicodeEncodeError."""
    manifest: Object = {"revision": bundle.revision, "roots": list(ROOTS), "rego_version": _REGO_VERSION}
    contents = {MANIFEST: canonical_json(manifest), f"{DATA_ROOT}/data.json": _data(bundle)}
    for name, text in bundle.modules.items():
        if not _NAME.fullmatch(name):
            raise ArchiveError(
                f"{name!r} cannot be the name of a module in a bundle: use names such as team/access.rego"
            )
        contents[f"{_MODULES}/{name}"] = text.encode()
    return contents


def _data(bundle: Bundle) -> bytes:
    data = canonical_json(bundle.data)
    _ = json.loads(data, parse_constant=_no_number)  # one NaN, which Python writes, and OPA refuses the whole bundle
    return data


def _no_number(_: str) -> None:
    raise ArchiveError("the data is not strict JSON: it holds NaN or an infinity")


def _tar(contents: Mapping[str, bytes]) -> bytes:
    import tarfile  # only where an OPA asks for a bundle

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for name, content in sorted(contents.items()):
            member = tarfile.TarInfo(f"/{name}")  # owner 0, mtime 0, mode 0644
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _packed(tar: bytes) -> bytes:
    buffer = io.BytesIO()
    # GzipFile and not gzip.compress: it alone writes "unknown" where others write the operating system.
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=_LEVEL, mtime=0) as file:
        file.write(tar)
    return buffer.getvalue()
