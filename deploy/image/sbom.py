"""Writes what the image holds, as CycloneDX 1.6: the gateway, its Python packages, OPA, Python, the base's packages.

    sbom.py OUTPUT OPA

Read from what is installed, not from what was asked for. The same image gives the same bytes: the serial number is made
of the content, the time is SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

Component: TypeAlias = dict[str, object]

OWN: Final = "llm-gateway"
LIBRARY: Final = f"/opt/llm-gateway/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_STATUS: Final = Path("/var/lib/dpkg/status")
_RELEASE: Final = Path("/etc/os-release")
_LONGEST_LICENCE: Final = 64  # beyond that it is the licence's text, not its name


def component(kind: str, name: str, version: str, purl: str) -> Component:
    """One part; its package URL is also what others refer to it by."""
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def python_package(found: Distribution) -> Component:
    """One installed distribution."""
    name = re.sub(r"[-_.]+", "-", found.name).lower()  # as PyPI and package URLs spell it
    purl = f"pkg:pypi/{name}@{quote(found.version)}"
    made = component("library", name, found.version, purl)
    if licences := licence(found):
        made["licenses"] = licences
    return made


def licence(found: Distribution) -> list[dict[str, object]]:
    """Its licence as the package states it; [] if it does not, or only by quoting a text."""
    said = found.metadata.json
    if expression := said.get("license_expression"):
        return [{"expression": expression}]
    name = str(said.get("license", "")).strip()
    return [{"license": {"name": name}}] if name and len(name) <= _LONGEST_LICENCE and "\n" not in name else []


def stanzas(text: str) -> Iterator[Mapping[str, str]]:
    """The paragraphs of dpkg's status file; lines that go on belong to no field that is asked for here."""
    for paragraph in text.split("\n\n"):
        fields = [line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[A-Za-z-]+: ", line)]
        if fields:
            yield {each[0]: each[1] for each in fields}


def debian_packages(status: str, release: Mapping[str, str]) -> Iterator[Component]:
    """The base's own packages, where it is Debian's kind."""
    distribution = f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '')}".rstrip("-")
    for package in stanzas(status):
        if not package.get("Status", "").endswith(" installed"):
            continue
        version = quote(package["Version"], safe="")
        where = f"arch={package['Architecture']}&distro={distribution}"
        purl = f"pkg:deb/{release.get('ID', 'debian')}/{quote(package['Package'], safe='')}@{version}?{where}"
        yield component("library", package["Package"], package["Version"], purl)


def opa(program: str) -> Component:
    """The policy engine: its version as it says itself, and the digest of the very file."""
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    version = re.findall(r"^Version: (\S+)$", said, re.MULTILINE)[0]
    purl = f"pkg:golang/github.com/open-policy-agent/opa@v{version}"
    digest = hashlib.sha256(Path(program).read_bytes()).hexdigest()
    return {
        **component("application", "opa", version, purl),
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def interpreter() -> Component:
    """Python itself: the official images build it, so no package names it."""
    version = platform.python_version()
    purl = f"pkg:generic/python@{version}"
    return component("platform", "python", version, purl)


def document(own: Component, parts: list[Component], epoch: int) -> dict[str, object]:
    """The bill of materials."""
    parts = sorted(parts, key=lambda part: str(part["bom-ref"]))
    content = json.dumps([own, parts], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**own, "type": "application"},
        },
        "components": parts,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def main() -> None:
    """See above."""
    output, program = Path(sys.argv[1]), sys.argv[2]
    packages = [python_package(found) for found in distributions(path=[LIBRARY])]
    own = next(package for package in packages if package["name"] == OWN)
    parts = [package for package in packages if package["name"] != OWN]
    release = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', _RELEASE.read_text(), re.MULTILINE))
    if _STATUS.exists():
        parts += debian_packages(_STATUS.read_text(encoding="utf-8"), release)
    made = document(own, [*parts, opa(program), interpreter()], int(os.environ["SOURCE_DATE_EPOCH"]))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
