"""The image: small, locked, quick, the same each time, and holding what it says and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

import pytest

from policies.json import Object, as_list, as_object, as_str
from tests.docker.conftest import Images, build
from tests.docker.daemon import call, docker, inspect
from tests.docker.running import LOCKED, Container, Start
from tests.docker.scan import findings
from tests.system.process import ROOT, until
from tests.system.wire import loads

pytestmark = [pytest.mark.timeout(900)]

LIMIT = 150_000_000
SBOM = "/usr/share/sbom/llm-gateway.cdx.json"


def exported(image: str, into: Path) -> Path:
    """The image's files as an archive."""
    container = docker("create", image)
    try:
        docker("export", "--output", str(into), container)
    finally:
        docker("rm", container)
    return into


def contents(archive: Path) -> dict[str, str]:
    """Path -> what is there: kind, mode, owner and bytes, but for its time. Docker makes /etc/hosts and the like."""
    with tarfile.open(archive) as tar:
        return {member.name: f"{_kind(member)} {_content(tar, member)}" for member in tar if _ours(member)}


def _ours(member: tarfile.TarInfo) -> bool:
    return member.name not in {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}


def _kind(member: tarfile.TarInfo) -> str:
    return f"{member.type!r} {member.mode:o} {member.uid}:{member.gid} {member.linkname}"


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    return _digest(tar.extractfile(member)) if member.isreg() else ""


def _digest(file: IO[bytes] | None) -> str:
    return "" if file is None else hashlib.sha256(file.read()).hexdigest()


def size(image: str) -> int:
    made = inspect(image)["Size"]
    assert isinstance(made, int)
    return made


@pytest.fixture(scope="module")
def archive(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(images.gateway, tmp_path_factory.mktemp("image") / "gateway.tar")


@pytest.fixture(scope="module")
def sbom(archive: Path) -> Object:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(SBOM.lstrip("/"))
        assert file is not None
        return loads(file.read())


def test_it_is_small(images: Images) -> None:
    assert size(images.gateway) - size(images.base) <= LIMIT


def test_nothing_is_in_it_that_must_not_be(archive: Path) -> None:
    with archive.open("rb") as file:
        assert list(findings(file)) == []


def test_what_it_says_of_itself(images: Images) -> None:
    config = as_object(inspect(images.gateway)["Config"])
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert as_list(config["Entrypoint"]) == ["llm-gateway"], "no shell"
    assert as_list(as_object(config["Healthcheck"])["Test"])[0] == "CMD", "no shell"
    labels = as_object(config["Labels"])
    commit = call("git", "rev-parse", "HEAD").out.strip()
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", as_str(labels["org.opencontainers.image.created"]))
    variables = " ".join(as_str(each) for each in as_list(config["Env"]))
    assert not re.search(r"proxy|cert|index|find_links", variables, re.IGNORECASE), "of the machine that built it"


def test_locked_in(start: Start, images: Images) -> None:
    """Not root, a read-only root, no capability, no way to more; and it works, with a policy engine beside it."""
    gateway = start(images.gateway, *LOCKED).listens()
    status = dict(line.split(":\t", 1) for line in gateway.python("print(open('/proc/1/status').read())").splitlines())
    assert set(status["Uid"].split()) == {"65532"}
    assert {status[f"Cap{kind}"] for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    written = gateway.run("python3", "-c", "open('/opt/llm-gateway/x', 'w')")
    assert "Read-only file system" in written.err
    assert gateway.run("opa", "version").code == 0
    programs = gateway.python(
        "import glob; print(*(open(p, 'rb').read().replace(b'\\0', b' ') for p in glob.glob('/proc/[0-9]*/cmdline')))"
    )
    assert "/usr/local/bin/opa run --server" in programs
    assert gateway.get("/v1/me", gateway.create_key("someone").bearer).status == 200


def test_it_needs_no_shell(start: Start, images: Images, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {images.gateway}\nUSER 0\n"
        'RUN ["python3", "-c", "import glob, os; [os.unlink(p) for p in glob.glob(\'/usr/bin/*sh\')]"]\n'
        "USER 65532:65532\n"
    )
    tag = f"{images.gateway}-shell-less"
    docker("build", "--quiet", "--tag", tag, str(tmp_path))
    try:
        gateway = start(tag, *LOCKED, "--health-interval", "1s").listens()
        assert gateway.run("sh", "-c", "true").code != 0, "there is a shell"
        assert gateway.run("bash", "-c", "true").code != 0, "there is a shell"
        until(lambda: health(gateway) == "healthy", 30.0, f"healthy: {gateway.state}")
        docker("stop", "--time", "30", gateway.id)
        assert gateway.output.code == 0
    finally:
        docker("rm", "--force", "--volumes", gateway.id)
        docker("rmi", tag)


def health(container: Container) -> str:
    return as_str(as_object(container.state["Health"])["Status"])


def test_health_is_the_gateways_own_word(start: Start, images: Images) -> None:
    """Healthy without an engine: it is there, though not ready. With another admin address nobody answers."""
    options = ("--health-interval", "1s", "--health-start-period", "1s", "--health-retries", "2")
    gateway = start(images.gateway, *LOCKED, *options)
    until(lambda: health(gateway) == "healthy", 30.0, "healthy")
    assert gateway.run("llm-gateway", "healthcheck", "--ready").code == 1
    deaf = start(images.gateway, *LOCKED, *options, command=("up", "--admin", "127.0.0.1:8082"))
    until(lambda: health(deaf) == "unhealthy", 60.0, "unhealthy")
    assert "127.0.0.1:8081 does not answer" in json.dumps(deaf.state["Health"])


@pytest.mark.alone
def test_it_listens_soon_after_its_start(start: Start, images: Images) -> None:
    """From the moment that Docker calls the start to the first answer; the best of three."""
    taken = []
    for _ in range(3):
        gateway = start(images.gateway, *LOCKED).listens()
        answered = datetime.now().astimezone()
        begun = re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", as_str(gateway.state["StartedAt"]))
        taken.append((answered - datetime.fromisoformat(begun)).total_seconds())
        docker("rm", "--force", "--volumes", gateway.id)
    assert min(taken) <= 1.5, taken


def parts(sbom: Object) -> dict[str, Object]:
    return {as_str(part["name"]): part for part in map(as_object, as_list(sbom["components"]))}


def test_the_bill_of_materials_names_what_is_there(sbom: Object, images: Images, archive: Path) -> None:
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", as_str(sbom["serialNumber"]))
    code = "import importlib.metadata as m; print(*sorted(d.name.lower().replace('_', '-') for d in m.distributions()))"
    installed = set(docker("run", "--rm", "--entrypoint", "python3", images.gateway, "-c", code).split())
    named = set(parts(sbom)) | {"llm-gateway"}
    assert installed - named == set()
    assert {"opa", "python", "libc6", "aiohttp"} <= named
    assert "setuptools" not in installed | named, "only builds need it"
    with tarfile.open(archive) as tar:
        opa = _digest(tar.extractfile("usr/local/bin/opa"))
    assert as_object(as_list(parts(sbom)["opa"]["hashes"])[0])["content"] == opa


def test_the_bill_of_materials_is_well_formed(sbom: Object) -> None:
    references = [as_str(part["bom-ref"]) for part in parts(sbom).values()]
    assert len(set(references)) == len(references)
    own = as_object(as_object(sbom["metadata"])["component"])
    (root,) = map(as_object, as_list(sbom["dependencies"]))
    assert root["ref"] == own["bom-ref"]
    assert set(map(as_str, as_list(root["dependsOn"]))) == set(references)
    purl = re.compile(r"pkg:(pypi|deb/debian|golang|generic)/[a-zA-Z0-9._/+%-]+@[A-Za-z0-9._+%~-]+(\?[a-z0-9=&.-]+)?")
    assert [each for each in references if not purl.fullmatch(each)] == []


def _copy(to: Path) -> Path:
    """The project as it would be checked out elsewhere, with other times; with what its build was given beforehand."""
    names = call("git", "ls-files", "--cached", "--others", "--exclude-standard").out.splitlines()
    for each in filter(lambda each: (ROOT / each).is_file(), names):
        (to / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / each, to / each)
    shutil.copytree(ROOT / ".cache" / "image", to / ".cache" / "image")
    return to


def _epoch() -> str:
    return call("git", "log", "-1", "--format=%ct").out.strip()


def test_the_same_inputs_give_the_same_files(
    images: Images, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", _epoch())
    again = f"{images.gateway}-again"
    build(images.base, "gateway", again, "--no-cache", root=_copy(tmp_path / "elsewhere"))
    try:
        first, second = contents(archive), contents(exported(again, tmp_path / "again.tar"))
    finally:
        docker("rmi", again)
    assert len(first) > 1000
    assert {path for path in {*first, *second} if first.get(path) != second.get(path)} == set()


def bad_image(tmp_path: Path) -> Iterator[tuple[str, bytes, int]]:
    yield "usr/bin/su", b"", 0o4755
    yield "usr/bin/wall", b"", 0o2755
    yield "tmp/everybody", b"", 0o666
    yield "var/cache/apt/archives/x", b"", 0o644
    yield "srv/some.whl", b"", 0o644
    yield "data/pepper", b"", 0o600
    yield "etc/a.conf", b"key: lgw_" + b"a" * 10 + b"_" + b"B" * 44, 0o644
    yield "etc/b.conf", b"index = https://someone:hunter22@packages.example/simple", 0o644
    yield "etc/c.pem", b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64, 0o600
    yield "opt/x/__pycache__/m.cpython-311.pyc", b"\xa7\r\r\n\x00\x00\x00\x00", 0o644


def test_the_scan_finds_each_of_them(tmp_path: Path) -> None:
    bad = list(bad_image(tmp_path))
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        for path, content, mode in [*bad, ("etc/fine.conf", b"https://packages.example/simple", 0o644)]:
            file = tmp_path / "file"
            file.write_bytes(content)
            member = tar.gettarinfo(file, path)
            member.mode = mode
            with file.open("rb") as source:
                tar.addfile(member, source)
    with (tmp_path / "bad.tar").open("rb") as archive:
        found = subprocess.run(
            ("python3", "-m", "tests.docker.scan"), cwd=ROOT, stdin=archive, capture_output=True, text=True, check=False
        )
    assert found.returncode == 1
    assert {line.partition(":")[0] for line in found.stdout.splitlines()} == {path for path, _, _ in bad}
    assert json.dumps(found.stdout).count("\\n") == len(bad)
