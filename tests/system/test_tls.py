"""TLS on loopback: certificates change while the gateway serves, and what cannot be used is told in one line."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.edge.tls.certificates import authority, self_signed
from tests.system.calls import CHAT, chunks, events_after, streamed
from tests.system.conftest import Launch
from tests.system.process import COMMAND, ROOT, Ended, Gateway, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always
from tests.system.wire import Wire, compose, loads

DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def doors(tls: JSON) -> list[JSON]:
    """A plain one, for all that is not about TLS, and one with it."""
    return [{"name": "local", "bind": "127.0.0.1:0"}, {"name": "lan", "bind": "127.0.0.1:0", "tls": tls}]


def port_of(gateway: Gateway, name: str = "lan") -> int:
    listeners = (as_object(each) for each in as_list(loads(gateway.out.all[0])["listeners"]))
    return next(int(str(each["port"])) for each in listeners if each["name"] == name)


def exported(gateway: Gateway) -> ssl.SSLContext:
    """A client that trusts the gateway's authority, and is as strict as they get."""
    ended = gateway.run("ca", "export")
    assert ended.code == 0, ended.err
    return trusting(ended.out)


def trusting(pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def secured(gateway: Gateway, context: ssl.SSLContext, name: str = "localhost") -> Wire:
    """A verified connection; ssl.SSLError if there is none."""
    with socket.create_connection(("127.0.0.1", port_of(gateway)), 10) as plain:
        return Wire(context.wrap_socket(plain, server_hostname=name))


def healthy(gateway: Gateway, context: ssl.SSLContext, name: str = "localhost") -> bool:
    try:
        with secured(gateway, context, name) as wire:
            return wire.ask(compose("GET", "/healthz", host=name)).status == 200
    except ssl.SSLError:
        return False


def test_another_authority_is_in_force_within_seconds_and_streams_go_on(
    launch: Launch, engine: RecordingEngine
) -> None:
    gateway = launch(listeners=doors("auto"))
    old, key = exported(gateway), gateway.create_key("caller")
    first, second, *rest = Stream().steps()
    engine.play(always(first, second, Hold(), *rest))
    with secured(gateway, old) as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=streamed(), host="localhost"))
        head = wire.head()
        assert head.status == 200
        assert gateway.run("ca", "rotate", "--yes").code == 0
        new = exported(gateway)
        until(lambda: healthy(gateway, new), 15.0, "the new authority's certificate is served")
        assert not healthy(gateway, old)
        engine.release()
        assert chunks(events_after(wire, head))


def write_pair(folder: Path, *names: str, start: datetime | None = None, end: datetime | None = None) -> str:
    """Certificate and key of one's own, put in place one after the other; the certificate."""
    certificate, key = self_signed(*names, start=start or now() - DAY, end=end or now() + 90 * DAY)
    for name, content in (("cert.pem", certificate), ("key.pem", key)):
        draft = folder / f"{name}.new"
        draft.write_bytes(content)
        draft.chmod(0o600)
        draft.replace(folder / name)
    return certificate.decode()


def test_given_files_are_read_again_when_they_change_and_a_broken_pair_is_not_taken(
    launch: Launch, tmp_path: Path
) -> None:
    files: Object = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    first = trusting(write_pair(tmp_path, "one.example"))
    gateway = launch(listeners=doors(files))
    assert healthy(gateway, first, "one.example")  # a name in the certificate is one to be called by
    (tmp_path / "cert.pem").write_bytes(self_signed("broken", start=now(), end=now() + DAY)[0])
    told = gateway.err.find(lambda line: "goes on with its old certificate" in line, 10.0)
    assert told is not None
    assert "key values mismatch" in told
    assert healthy(gateway, first, "one.example")
    second = trusting(write_pair(tmp_path, "two.example"))
    until(lambda: healthy(gateway, second, "two.example"), 15.0, "the second pair is served")


def test_a_kept_certificate_and_authority_outlive_a_restart(launch: Launch) -> None:
    gateway = launch(listeners=doors("auto"))
    client = exported(gateway)
    shown = loads(gateway.run("ca", "show", "--json", "--config", str(gateway.file)).out)
    gateway.stop()
    gateway.start()
    assert healthy(gateway, client)
    assert loads(gateway.run("ca", "show", "--json", "--config", str(gateway.file)).out) == shown
    (leaf,) = as_list(shown["listeners"])
    assert "localhost" in as_list(as_object(leaf)["names"])
    assert "local" in as_list(shown["permitted"])
    assert len(as_str(shown["fingerprint"]).split(":")) == 32


def test_the_key_of_nothing_is_open_to_others(launch: Launch) -> None:
    gateway = launch(listeners=doors("auto"))
    found = {path.name: path.stat().st_mode & 0o777 for path in (gateway.folder / "home" / "tls").iterdir()}
    assert found == {"authority.pem": 0o600, "listener-lan.pem": 0o600}
    assert "PRIVATE" not in gateway.run("ca", "export").out


_ELSEWHERE = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc/ssl/certs,upperdir=/mnt/upper,workdir=/mnt/work /etc/ssl/certs
mount -t tmpfs none /usr/local/share/ca-certificates
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE
ask() { curl -sS --noproxy '*' "https://localhost:$PORT/healthz" || echo "refused $?"; }
ask
"$@" --yes >/dev/null
ask
"$@" --remove --yes >/dev/null
ask
"""


def test_a_debian_machine_trusts_it_and_forgets_it_again(launch: Launch) -> None:
    """In a mount namespace, where the system's store is a copy."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("update-ca-certificates"):
        pytest.skip("did not run: needs root on Debian, with ca-certificates")
    gateway = launch(listeners=doors("auto"))
    trust = (*COMMAND, "ca", "trust")
    done = subprocess.run(
        ("unshare", "-m", "sh", "-c", _ELSEWHERE, "sh", *trust),
        cwd=ROOT,
        env={**gateway.environment, "PORT": str(port_of(gateway))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["refused 60", '{"status":"ok"}refused 60'], done.stderr
    printed = gateway.run("ca", "trust")
    assert printed.code == 0
    assert "update-ca-certificates" in printed.out


class TestBadInput:
    """One clear line each, exit code 2."""

    def test_no_authority_yet(self, tmp_path: Path) -> None:
        ended = _run(tmp_path, "ca", "export")
        assert ended.code == 1
        assert "no certificate authority" in ended.err

    def test_a_clock_that_does_not_fit_the_authority(self, tmp_path: Path) -> None:
        folder = tmp_path / "home" / "tls"
        folder.mkdir(parents=True)
        for each in (folder.parent, folder):
            each.chmod(0o700)
        (folder / "authority.pem").write_bytes(authority(now() + 400 * DAY).pem)
        (folder / "authority.pem").chmod(0o600)
        _assert_clear(_up(tmp_path, "auto"), "the clock says", "certificate authority", "set the clock")

    @pytest.mark.parametrize(("start", "end"), [(DAY, 2 * DAY), (-2 * DAY, -DAY)])
    def test_a_clock_that_does_not_fit_the_given_certificate(
        self, tmp_path: Path, start: timedelta, end: timedelta
    ) -> None:
        write_pair(tmp_path, "a.example", start=now() + start, end=now() + end)
        _assert_clear(_up(tmp_path, _files(tmp_path)), "the clock says", "cert.pem", "set the clock")

    def test_a_certificate_file_that_is_not_there(self, tmp_path: Path) -> None:
        _assert_clear(_up(tmp_path, _files(tmp_path)), "cert.pem", "cannot be read", "No such file")

    def test_a_key_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        write_pair(tmp_path, "a.example")
        (tmp_path / "key.pem").chmod(0)
        ended = _up(tmp_path, _files(tmp_path), without=_all_powerful())
        _assert_clear(ended, "key.pem", "cannot be read", "Permission denied")

    def test_a_key_that_is_not_the_certificates(self, tmp_path: Path) -> None:
        write_pair(tmp_path, "a.example")
        (tmp_path / "key.pem").write_bytes(self_signed("b", start=now(), end=now() + DAY)[1])
        _assert_clear(_up(tmp_path, _files(tmp_path)), "key values mismatch")

    def test_a_damaged_authority(self, tmp_path: Path) -> None:
        folder = tmp_path / "home" / "tls"
        folder.mkdir(mode=0o700, parents=True)
        (folder / "authority.pem").write_bytes(b"damaged")
        (folder / "authority.pem").chmod(0o600)
        _assert_clear(_up(tmp_path, "auto"), "authority.pem is damaged", "ca rotate")

    def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            _assert_clear(_up(tmp_path, "auto", port=port), f"127.0.0.1:{port}", "another program")

    def test_a_state_folder_of_somebody_else(self, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("did not run: only root can give a folder away")
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        os.chown(home, 12345, 12345)
        _assert_clear(_up(tmp_path, "auto", without=_all_powerful()), str(home), "chown")

    def test_a_read_only_state_folder(self, tmp_path: Path) -> None:
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("did not run: read-only mounts need root on Linux")
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        mounted = f'mount --bind "{home}" "{home}" && mount -o remount,ro,bind "{home}" && exec "$@"'
        ended = _up(tmp_path, "auto", without=("unshare", "-m", "sh", "-c", mounted, "sh"))
        _assert_clear(ended, str(home), "not readable and writable")


def _all_powerful() -> tuple[str, ...]:
    """What takes from root what makes it root for files; others have nothing to lose."""
    if os.geteuid() != 0:
        return ()
    gone = "-dac_override,-dac_read_search"
    return ("setpriv", f"--bounding-set={gone}", f"--inh-caps={gone}")


def _files(folder: Path) -> Object:
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def _up(folder: Path, tls: JSON, *, port: int = 0, without: Sequence[str] = ()) -> Ended:
    """Start `up` and wait for its end; `without`: a command that runs it with less than it has here."""
    config = configuration("http://127.0.0.1:9", listener={"bind": f"127.0.0.1:{port}", "tls": tls})
    (folder / "gateway.yaml").write_text(yaml.safe_dump(config))
    return _run(folder, "up", "--config", str(folder / "gateway.yaml"), without=without)


def _run(folder: Path, *arguments: str, without: Sequence[str] = ()) -> Ended:
    done = subprocess.run(
        (*without, *COMMAND, *arguments),
        cwd=ROOT,
        env={**os.environ, "LLM_GATEWAY_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _assert_clear(ended: Ended, *words: str) -> None:
    assert ended.code == 2, ended.err
    (line,) = (line for line in ended.err.splitlines() if line.strip())
    for word in words:
        assert word in line
