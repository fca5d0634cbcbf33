"""What goes wrong in a container: it starts where it can and says what is missing; else one line, and exit code 2."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from policies.json import as_object
from tests.docker.conftest import Images
from tests.docker.daemon import call, docker, inspect
from tests.docker.running import LOCKED, Start, name
from tests.system.calls import CHAT, chat
from tests.system.process import Ended
from tests.system.wire import Wire, compose

pytestmark = [pytest.mark.timeout(900)]

_AWAY = "http://host.docker.internal:9"


def one_line(ended: Ended, *words: str) -> None:
    """It ended with 2, and said why in one line."""
    assert ended.code == 2, ended
    (line,) = ended.err.strip().splitlines()
    for word in words:
        assert word in line, line
    assert not re.search(r"Traceback|Error\(", ended.err), ended.err


def configuration(folder: Path, more: str) -> tuple[str, str]:
    """Options that mount the image's configuration with `more` in place of its engines."""
    folder.mkdir(exist_ok=True)
    text = (Path(__file__).parents[2] / "deploy" / "image" / "gateway.yaml").read_text()
    (folder / "gateway.yaml").write_text(re.sub(r"(?m)^engines:.*$", more, text))
    folder.chmod(0o755)
    return "--volume", f"{folder}:/etc/llm-gateway:ro"


def test_no_engine_to_be_reached(start: Start, images: Images, tmp_path: Path) -> None:
    """It starts, is alive but not ready and says why, and so does the answer to a request."""
    engines = f"engines: {{discover: false, list: [{{name: away, kind: ollama, url: '{_AWAY}'}}]}}"
    host = ("--add-host", "host.docker.internal:host-gateway")
    gateway = start(images.gateway, *LOCKED, *configuration(tmp_path / "etc", engines), *host).listens()
    assert gateway.why_not_ready == "no engine with a model is up"
    key = gateway.create_key("caller")
    with Wire.open(gateway.address) as wire:
        answer = wire.ask(compose("POST", CHAT, key.bearer, body=chat()))
    assert answer.status == 503
    assert answer.error["code"] in {"no_engine", "engine_unreachable"}
    assert gateway.state["Running"] is True


@pytest.mark.parametrize("content", ["", "two words\n", None], ids=["empty", "not a secret", "missing"])
def test_a_secret_that_cannot_be_used(start: Start, images: Images, tmp_path: Path, content: str | None) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o755)
    if content is not None:
        (secrets / "engine").write_text(content)
    engines = f"engines: {{list: [{{name: a, kind: openai, url: '{_AWAY}', api_key_file: /run/secrets/engine}}]}}"
    mounts = (*configuration(tmp_path / "etc", engines), "--volume", f"{secrets}:/run/secrets:ro")
    ended = start(images.gateway, *LOCKED, *mounts).ended()
    one_line(ended, "gateway.yaml:", "api_key_file", "the file")


def test_a_secret_of_somebody_elses(start: Start, images: Images, tmp_path: Path) -> None:
    """Written by root with a umask of 077, as `sudo` does: the gateway is nobody in particular."""
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o755)
    (secrets / "engine").write_text("something")
    (secrets / "engine").chmod(0o600)
    engines = f"engines: {{list: [{{name: a, kind: openai, url: '{_AWAY}', api_key_file: /run/secrets/engine}}]}}"
    mounts = (*configuration(tmp_path / "etc", engines), "--volume", f"{secrets}:/run/secrets:ro")
    one_line(start(images.gateway, *LOCKED, *mounts).ended(), "api_key_file", "Permission denied")


def test_a_state_folder_of_somebody_elses(start: Start, images: Images, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    ended = start(images.gateway, *LOCKED, "--volume", f"{tmp_path}/state:/data").ended()
    one_line(ended, "/data", "not readable and writable for this user", "chown")


def test_a_read_only_state_folder(start: Start, images: Images, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", 65532, 65532)
    ended = start(images.gateway, *LOCKED, "--volume", f"{tmp_path}/state:/data:ro").ended()
    one_line(ended, "/data")


def test_a_volume_of_dockers_is_made_for_it(start: Start, images: Images) -> None:
    """A named volume takes over the folder of the image: private, and the gateway's."""
    volume = name()
    try:
        gateway = start(images.gateway, *LOCKED, "--volume", f"{volume}:/data").listens()
        assert gateway.python("import os; s = os.stat('/data'); print(oct(s.st_mode), s.st_uid)") == "0o40700 65532"
        docker("rm", "--force", gateway.id)
    finally:
        call("docker", "volume", "rm", "--force", volume)


def test_a_port_that_is_taken(start: Start, images: Images) -> None:
    first = start(images.gateway, *LOCKED).listens()
    ended = start(images.gateway, *LOCKED, "--network", f"container:{first.id}").ended()
    one_line(ended, "0.0.0.0:8080", "another program")


def test_no_memory_but_its_own(start: Start, images: Images) -> None:
    """Its share of memory is bounded from outside; it neither needs more nor is it killed for it."""
    gateway = start(images.gateway, *LOCKED, "--memory", "512m", "--pids-limit", "100").listens()
    assert as_object(inspect(gateway.id)["HostConfig"])["PidsLimit"] == 100
    assert gateway.state["OOMKilled"] is False
