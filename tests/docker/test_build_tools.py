"""The programs that an image is built with, each by itself."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.system.process import ROOT


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"image_{name}", ROOT / "deploy" / "image" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOCK = """# made by
a==1.0 \\
    --hash=sha256:aa
b==2.0 ; python_full_version < '3.11.3' \\
    --hash=sha256:bb \\
    --hash=sha256:bc
    # via x
c[extra]==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:cc
d==4.0 ; platform_machine == 'aarch64' and sys_platform == 'linux' \\
    --hash=sha256:dd
"""


@pytest.mark.parametrize(
    ("machine", "python", "names"),
    [("x86_64", "3.11.2", "ab"), ("x86_64", "3.13.1", "a"), ("aarch64", "3.11.2", "abd")],
)
def test_markers_are_judged_for_the_image_and_not_for_this_machine(machine: str, python: str, names: str) -> None:
    wheels = tool("wheels")
    lines = list(wheels.applicable(LOCK, wheels.environment(machine, python)))
    assert "".join(line[0] for line in lines if "==" in line) == names
    assert not any(";" in line for line in lines)
    hashes = [line.strip().removeprefix("--hash=sha256:")[:2] for line in lines if "--hash" in line]
    assert {digest[0] for digest in hashes} == set(names), "each with its own, and no other's"


def test_platforms_are_all_that_the_c_library_runs() -> None:
    tags = list(tool("wheels").platforms("x86_64", 28))
    assert tags[0] == "manylinux_2_28_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"} <= set(tags)
    assert "manylinux_2_34_x86_64" not in tags


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF files are Linux's")
def test_a_library_without_symbols_still_loads(tmp_path: Path) -> None:
    import yaml._yaml as library

    whole = Path(str(library.__file__)).read_bytes()
    cut = tool("debugging").without(whole)
    assert len(cut) < len(whole)
    assert tool("debugging").without(cut) == cut
    (tmp_path / "yaml").mkdir()
    for file in Path(str(library.__file__)).parent.parent.joinpath("yaml").glob("*.py"):
        (tmp_path / "yaml" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "yaml" / Path(str(library.__file__)).name).write_bytes(cut)
    code = "import yaml, yaml._yaml as y; print(y.__file__, yaml.load('a: [1]', yaml.CSafeLoader))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        (sys.executable, "-c", code),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith(str(tmp_path))
    assert done.stdout.endswith("{'a': [1]}\n")


def test_what_is_no_library_stays_as_it_is() -> None:
    for data in (b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60)):
        assert tool("debugging").without(data) == data


def test_hardening_closes_what_is_open(tmp_path: Path) -> None:
    harden = tool("harden")
    (tmp_path / "su").write_bytes(b"")
    (tmp_path / "su").chmod(0o6755)
    (tmp_path / "everybody").mkdir()
    (tmp_path / "everybody").chmod(0o1777)
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail").chmod(0o2775)
    for path in list(harden.entries(str(tmp_path))):
        harden.close(path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"su": 0o755, "everybody": 0o1775, "mail": 0o2775}


def test_packages_of_the_base_are_read_as_dpkg_writes_them() -> None:
    sbom = tool("sbom")
    status = (
        "Package: libc++1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.0~x+b1\n"
        "Description: a\n b: c\n\nPackage: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
    )
    (found,) = sbom.debian_packages(status, {"ID": "debian", "VERSION_ID": "12"})
    assert found["purl"] == "pkg:deb/debian/libc%2B%2B1@1%3A2.0~x%2Bb1?arch=amd64&distro=debian-12"
