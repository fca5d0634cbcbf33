"""One container, and one Compose project, of a test: gone at its end."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from policies.json import Object, as_object, as_str
from tests.docker.daemon import call, docker, inspect
from tests.system.process import ROOT, Ended, Key, until
from tests.system.wire import Answer, Wire, compose, loads

LOCKED: Final = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""How the image is made to be run."""

Start = Callable[..., "Container"]
"""Start a container of a test's: an image, and `docker run`'s options; it is gone after the test."""


def name() -> str:
    """One that nothing else on this engine has."""
    return f"lgw-test-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True)
class Container:
    """A running container, or one that has ended."""

    id: str

    @property
    def ip(self) -> str:
        """Its address in the first of its networks that this machine reaches: it may have no address there itself."""
        networks = as_object(as_object(inspect(self.id)["NetworkSettings"])["Networks"])
        found = ((name, as_str(as_object(each)["IPAddress"])) for name, each in networks.items())
        options = ("network", "inspect", "--format", "{{.Options}}")
        return next(ip for name, ip in found if ip and "inhibit_ipv4" not in docker(*options, name))

    @property
    def address(self) -> tuple[str, int]:
        """The gateway's listener."""
        return self.ip, 8080

    @property
    def state(self) -> Object:
        return as_object(inspect(self.id)["State"])

    @property
    def output(self) -> Ended:
        """What it wrote so far, and the code it ended with (0 while it runs)."""
        ended = call("docker", "logs", self.id)
        code = self.state["ExitCode"]
        assert isinstance(code, int)
        return Ended(code, ended.out, ended.err)

    def run(self, *argv: str) -> Ended:
        """A command in it."""
        return call("docker", "exec", self.id, *argv)

    def python(self, code: str) -> str:
        """What a few lines of Python print in it, which must succeed."""
        ended = self.run("python3", "-c", code)
        assert ended.code == 0, ended.err
        return ended.out.strip()

    @property
    def why_not_ready(self) -> str:
        """What `/readyz` says, asked from inside: "" if it is ready."""
        ask = "c = h.HTTPConnection('127.0.0.1', 8081); c.request('GET', '/readyz')"
        said = loads(self.python(f"import http.client as h; {ask}; print(c.getresponse().read().decode())"))
        return as_str(said["why"])

    def create_key(self, name: str, *arguments: str) -> Key:
        """A key, by the gateway's own command; accepted within half a second."""
        ended = self.run("llm-gateway", "keys", "create", name, *arguments, "--json")
        assert ended.code == 0, ended.err
        made = loads(ended.out)
        key = Key(as_str(made["id"]), as_str(made["key"]))
        until(lambda: self.get("/v1/me", key.bearer).status != 401, 5.0, f"key {key.id} is accepted")
        return key

    def get(self, path: str, *lines: str) -> Answer:
        """One GET of the data plane, from this machine."""
        with Wire.open(self.address) as wire:
            return wire.ask(compose("GET", path, *lines))

    def listens(self, within: float = 20.0) -> Container:
        """Wait until it does."""
        until(lambda: self._listening() or not self.state["Running"], within, "it listens")
        assert self._listening(), self.output
        return self

    def ready(self, within: float = 60.0) -> Container:
        """Wait until it has an engine."""
        until(lambda: self.run("llm-gateway", "healthcheck", "--ready").code == 0, within, "it is ready")
        return self

    def ended(self, within: float = 30.0) -> Ended:
        """Wait for the end; what it wrote, and its exit code."""
        docker("wait", self.id, within=within)
        return self.output

    def _listening(self) -> bool:
        try:
            return self.get("/healthz").status == 200
        except (OSError, StopIteration):
            return False


@dataclass(frozen=True, slots=True)
class Project:
    """A Compose project: a file, and the variables it is read with."""

    file: str
    variables: Mapping[str, str]
    profiles: tuple[str, ...] = ()
    name: str = field(default_factory=name)

    def run(self, *arguments: str, within: float = 120.0) -> Ended:
        """A command of Compose."""
        profiles = (option for each in self.profiles for option in ("--profile", each))
        argv = (*program(), "-p", self.name, "-f", str(ROOT / self.file), *profiles, *arguments)
        return call(*argv, env=dict(self.variables), within=within)

    def up(self, *services: str) -> None:
        """Start it, or some of its services."""
        ended = self.run("up", "-d", "--no-build", *services)
        assert ended.code == 0, ended.err

    def container(self, service: str) -> Container:
        """The one of a service, also when it has ended."""
        ended = self.run("ps", "-aq", service)
        assert ended.out.split(), f"no {service}: {ended.err}"
        return Container(ended.out.split()[0])


def program() -> tuple[str, ...]:
    """Compose: the one built for the tests, the plugin, or Debian's older one."""
    built = Path(sys.executable).parent / "docker-compose"
    if built.exists():
        return (str(built),)
    if call("docker", "compose", "version").code == 0:
        return ("docker", "compose")
    found = shutil.which("docker-compose")
    assert found is not None, "no docker-compose: requirements/docker.sh installs it"
    return (found,)


@contextmanager
def project(file: str, variables: Mapping[str, str], *profiles: str) -> Iterator[Project]:
    """A Compose project that is gone at the end, with its volumes."""
    made = Project(file, variables, profiles)
    try:
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "5")
