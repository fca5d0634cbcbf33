"""The archive: what is in it, that it is always the same, and that a real OPA takes it."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from policies.archive import ArchiveError, archive
from policies.bundle import Bundle
from policies.signing import Signer, key_id

OPA = Path(sys.executable).parent / "opa"
ACCESS = 'package gateway.authz\n\ndecision := {"allow": data.gwcfg.open}\n'
TEST = "package gateway.authz_test\n\ntest_secret if true\n"
BUNDLE = Bundle(
    {"access.rego": ACCESS, "team/über.rego": 'package gateway.team\n\nname := "\u2028é"\n'},
    {"access_test.rego": TEST},
    {"open": True, "name": "\u2028<é>"},
)


@lru_cache
def signer(number: int) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    return Signer(key, key_id(key.public_key()))


def contents(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == sorted(member.name for member in members)
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
        files = {member.name: tar.extractfile(member) for member in members}
        return {name: file.read() for name, file in files.items() if file is not None}


def opa(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([OPA, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_it_holds_modules_data_and_a_narrow_manifest_and_no_tests() -> None:
    files = contents(archive(BUNDLE))
    assert sorted(files) == ["/.manifest", "/gateway/access.rego", "/gateway/team/über.rego", "/gwcfg/data.json"]
    assert json.loads(files["/.manifest"]) == {
        "revision": BUNDLE.revision,
        "roots": ["gateway", "gwcfg"],
        "rego_version": 1,
    }
    assert files["/gateway/access.rego"] == ACCESS.encode()
    assert json.loads(files["/gwcfg/data.json"]) == BUNDLE.data
    assert b"test_secret" not in gzip.decompress(archive(BUNDLE, signer(0)))


def test_a_signer_adds_signatures_of_every_file() -> None:
    files = contents(archive(BUNDLE, signer(0)))
    own = {name.removeprefix("/"): content for name, content in files.items() if name != "/.signatures.json"}
    assert set(files) - set(contents(archive(BUNDLE))) == {"/.signatures.json"}
    assert files["/.signatures.json"] == signer(0).signatures(own)


def test_nothing_in_the_head_tells_machine_or_time() -> None:
    assert archive(BUNDLE)[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"


names = st.from_regex(r"[a-zé_][a-z0-9_. -]{0,140}\.rego", fullmatch=True)
modules = st.dictionaries(names, st.text(max_size=80), max_size=4)
data = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20) | st.booleans(), max_size=6)


@given(modules, modules, data)
def test_equal_policies_give_equal_bytes(
    rego: dict[str, str], tests: dict[str, str], gwcfg: dict[str, int | str | bool]
) -> None:
    """Invariant: the order in which a policy was put together leaves no trace; tests leave none but the revision."""
    one = Bundle(rego, tests, {**gwcfg})
    other = Bundle(dict(reversed(rego.items())), dict(reversed(tests.items())), dict(reversed(gwcfg.items())))
    assert archive(one, signer(0)) == archive(other, signer(0))
    files = contents(archive(one))
    assert {name: files[f"/gateway/{name}"].decode() for name in rego} == rego
    assert len(files) == len(rego) + 2


@pytest.mark.parametrize(
    "name", ["../x.rego", "a/../x.rego", "/x.rego", "a//x.rego", ".x.rego", "a/.rego", "x.json", "x", "", "a\\x.rego",
             "x\n.rego", "x\0.rego", "x.rego\n", "\udc80.rego"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_that_opa_skips_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError):
        archive(Bundle({name: ACCESS}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_data_that_is_no_strict_json_is_refused(value: float | str) -> None:
    with pytest.raises(ArchiveError):
        archive(Bundle({"a.rego": ACCESS}, {}, {"x": value}))


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ArchiveError):
        archive(Bundle({"a.rego": "# \ud800"}))


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(archive(BUNDLE, signer(0)))
    for number in (0, 1):
        (tmp_path / f"{number}.pem").write_bytes(signer(number).public_pem)
    return path


def evaluate(path: Path, key: int, scope: str) -> subprocess.CompletedProcess[str]:
    verification = ["--verification-key", str(path.parent / f"{key}.pem"), "--signing-alg", "ES256", "--scope", scope]
    return opa("build", "--bundle", *verification, "--output", path.parent / "out.tar.gz", path)


def test_opa_verifies_it(signed: Path) -> None:
    done = evaluate(signed, 0, "llm-gateway")
    assert done.returncode == 0, done.stderr
    assert (signed.parent / "out.tar.gz").exists()


def test_opa_refuses_another_key_and_another_scope(signed: Path) -> None:
    for key, scope in ((1, "llm-gateway"), (0, "write")):
        assert evaluate(signed, key, scope).returncode == 1


def test_opa_refuses_what_was_changed_on_the_way(signed: Path) -> None:
    for name, change in {
        "/gateway/access.rego": b"# and more",
        "/gwcfg/data.json": b' {"open": false}',
        "/.manifest": b"",
        "/gateway/new.rego": b"package gateway.new\n",
    }.items():
        files = contents(archive(BUNDLE, signer(0)))
        before = files.pop(name, b"")
        if change:
            files[name] = change if name.endswith(".json") else before + change
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for each, content in files.items():
                member = tarfile.TarInfo(each)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        signed.write_bytes(buffer.getvalue())
        assert evaluate(signed, 0, "llm-gateway").returncode == 1, name


def test_opa_inspects_and_evaluates_it(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(archive(BUNDLE))
    inspected = opa("inspect", "--format", "json", path)
    assert inspected.returncode == 0, inspected.stderr
    document = json.loads(inspected.stdout)
    assert document["manifest"]["revision"] == BUNDLE.revision
    assert document["manifest"]["roots"] == ["gateway", "gwcfg"]
    assert set(document["namespaces"]) == {"data.gateway.authz", "data.gateway.team", "data.gwcfg"}
    evaluated = opa(
        "eval", "--bundle", path, "--format", "json", "[data.gateway.authz.decision.allow, data.gateway.team.name]"
    )
    assert json.loads(evaluated.stdout)["result"][0]["expressions"][0]["value"] == [True, "\u2028é"]
