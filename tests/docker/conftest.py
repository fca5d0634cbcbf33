"""Made once: an engine that answers, a base of Debian's packages, the gateway's image and the demo's."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docker.daemon import KEPT, call, docker, engine, why_not
from tests.docker.running import Container, Start, name
from tests.system.process import ROOT


@dataclass(frozen=True, slots=True)
class Images:
    """Names of images."""

    base: str
    gateway: str
    demo: str


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """What is made is kept in one folder, and several workers or runs may come for it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Docker's engine, or the reason why not."""
    if reason := why_not():
        pytest.skip(reason)
    with _one_at_a_time():
        ended = call("sh", "requirements/docker.sh", str(KEPT), within=600.0)
    assert ended.code == 0, ended.err
    with engine(tmp_path_factory.mktemp("docker")):
        yield


@pytest.fixture(scope="session")
def base(docker_engine: None) -> str:
    """An image of Debian's packages with Python; it is kept, so that layers upon it are found again."""
    (archive,) = KEPT.glob("base-*.tar")
    status = archive.stat()
    tag = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:12]
    image = f"llm-gateway-test-base:{tag}"
    if call("docker", "image", "inspect", image).code != 0:
        docker("import", str(archive), image, within=300.0)
    return image


def build(base: str, target: str, tag: str, *arguments: str, root: Path = ROOT) -> str:
    """`make image`, with the virtual environment that runs the tests."""
    venv = Path(sys.executable).parents[1]
    variables = {"BASE": base, "TARGET": target, "TAG": tag, "ARGS": " ".join(arguments), "OPA": ""}
    with _one_at_a_time():
        ended = call("sh", str(root / "deploy/image/make.sh"), str(venv), env=variables, within=900.0)
    assert ended.code == 0, f"{ended.out[-3000:]}\n{ended.err[-3000:]}"
    return tag


@pytest.fixture(scope="session")
def images(base: str) -> Iterator[Images]:
    """The demo first: the gateway's wheels are among its own, and its layers under it."""
    mine = f"lgw-test:{os.getpid()}"
    made = Images(base, f"{mine}-gateway", f"{mine}-demo")
    build(base, "demo", made.demo)
    build(base, "gateway", made.gateway)
    try:
        yield made
    finally:
        call("docker", "rmi", "--no-prune", made.gateway, made.demo)


@pytest.fixture
def start(docker_engine: None) -> Iterator[Start]:
    """Start containers that are gone after the test."""
    begun: list[str] = []

    def run(image: str, *options: str, command: tuple[str, ...] = ()) -> Container:
        begun.append(name())
        docker("run", "--detach", "--name", begun[-1], *options, image, *command)
        return Container(begun[-1])

    try:
        yield run
    finally:
        if begun:
            call("docker", "rm", "--force", "--volumes", *begun)
