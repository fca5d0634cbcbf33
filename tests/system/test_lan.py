"""A laptop on the LAN: the allowed host talks over TLS with the exported authority, the other never gets to HTTP.

Real programs run on each host: curl, openssl and the OpenAI client.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from policies.json import as_list, as_object
from tests.system.calls import ASKED
from tests.system.lan import Host, Lan, lan, why_not
from tests.system.process import Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.wire import loads

pytestmark = pytest.mark.xdist_group("lan")  # one LAN for all of them

NAME = "studio-under-test.local"
OPENAI = """
import sys, openai
with openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0) as client:
    stream = client.chat.completions.create(
        model=sys.argv[3], messages=[{"role": "user", "content": "hi"}], stream=True)
    print("".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))
"""
RAW = """
import socket, sys
request = f"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nX-Forwarded-For: {sys.argv[3]}\\r\\n\\r\\n"
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as sock:
        sock.sendall(request.encode())
        print("got", sock.recv(1000))
except ConnectionError as error:
    print(type(error).__name__)
"""


@dataclass(frozen=True, slots=True)
class Studio:
    """A gateway on the LAN with two doors, the certificate of its authority, and a key for it."""

    gateway: Gateway
    network: Lan
    ca: Path
    key: Key
    port: int
    plain: int

    @property
    def url(self) -> str:
        return f"https://{self.network.here}:{self.port}"

    def curl(self, host: Host, url: str, *options: str) -> subprocess.CompletedProcess[str]:
        named = f"{NAME}:{self.port}:{self.network.here}"
        return host.run(
            *("curl", "-sS", "--max-time", "20", "--noproxy", "*", "--cacert", str(self.ca), "--resolve", named),
            *(*options, url),
        )


@pytest.fixture(scope="module")
def network() -> Iterator[Lan]:
    if reason := why_not():
        pytest.skip(reason)
    with lan() as found:
        yield found


@pytest.fixture(scope="module")
def studio(network: Lan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with RecordingEngine() as engine:
        config = configuration(engine.url)
        friend = f"{network.friend.address}/32"
        config["listeners"] = [
            {"name": "local", "bind": "127.0.0.1:0"},
            {"name": "lan", "bind": "0.0.0.0:0", "tls": "auto", "networks": [friend], "hosts": [NAME]},
            {"name": "plain", "bind": f"{network.here}:0", "insecure": True, "networks": [friend]},
        ]
        gateway = Gateway(folder, config)
        try:
            gateway.start().ready()
            ca = folder / "ca.pem"
            assert gateway.run("ca", "export", str(ca)).code == 0
            ports = [as_object(each)["port"] for each in as_list(loads(gateway.out.all[0])["listeners"])]
            yield Studio(gateway, network, ca, gateway.create_key("laptop"), *(int(str(port)) for port in ports[1:]))
        finally:
            gateway.kill()


def without_proxy(**more: str) -> dict[str, str]:
    return {"no_proxy": "*", "NO_PROXY": "*", **more}


def test_curl_verifies_the_address_and_the_name(studio: Studio) -> None:
    for url in (studio.url, f"https://{NAME}:{studio.port}"):
        done = studio.curl(studio.network.friend, f"{url}/healthz")
        assert (done.returncode, done.stdout) == (0, '{"status":"ok"}'), done.stderr


def test_openssl_verifies_the_chain_the_name_and_the_address(studio: Studio) -> None:
    target = f"{studio.network.here}:{studio.port}"
    for check in (("-verify_hostname", NAME, "-servername", NAME), ("-verify_ip", studio.network.here)):
        done = studio.network.friend.run(
            *("openssl", "s_client", "-connect", target, "-CAfile", str(studio.ca), "-verify_return_error"),
            *("-x509_strict", "-brief", "-alpn", "http/1.1", *check),
        )
        assert done.returncode == 0, done.stderr
        assert "Verification: OK" in done.stderr
        assert "Protocol version: TLSv1.3" in done.stderr


def test_the_openai_client_streams_a_completion(studio: Studio) -> None:
    done = studio.network.friend.run(
        *(sys.executable, "-c", OPENAI, f"{studio.url}/v1", studio.key.secret, ASKED),
        env=without_proxy(SSL_CERT_FILE=str(studio.ca)),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_without_the_authority_clients_refuse_to_talk(studio: Studio) -> None:
    host, url = studio.network.friend, f"{studio.url}/healthz"
    done = host.run("curl", "-sS", "--max-time", "20", "--noproxy", "*", url)
    assert done.returncode == 60, done.stderr  # CURLE_PEER_FAILED_VERIFICATION
    done = host.run(sys.executable, "-c", OPENAI, f"{studio.url}/v1", studio.key.secret, ASKED, env=without_proxy())
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_another_name_is_refused_by_the_client_and_by_the_gateway(studio: Studio) -> None:
    friend = studio.network.friend
    other = f"other.local:{studio.port}:{studio.network.here}"
    done = studio.curl(friend, f"https://other.local:{studio.port}/healthz", "--resolve", other)
    assert done.returncode == 60, done.stderr
    done = studio.curl(
        friend, f"{studio.url}/healthz", "-H", "Host: other.local", "-o", "/dev/null", "-w", "%{http_code}"
    )
    assert done.stdout == "421"


def test_the_stranger_is_refused_before_any_http(studio: Studio) -> None:
    stranger = studio.network.stranger
    done = studio.curl(stranger, f"{studio.url}/healthz")
    assert done.returncode in {7, 35}, done.stderr  # cannot connect, or no TLS: reset
    done = stranger.run(
        *("openssl", "s_client", "-connect", f"{studio.network.here}:{studio.port}", "-CAfile", str(studio.ca))
    )
    assert "no peer certificate available" in done.stdout or "Connection reset" in done.stderr
    assert "BEGIN CERTIFICATE" not in done.stdout
    for port in (studio.port, studio.plain):
        for forged in (studio.network.friend.address, "127.0.0.1"):
            done = stranger.run(sys.executable, "-c", RAW, studio.network.here, str(port), forged)
            # Linux gives what it has before the reset; there is nothing to give.
            assert done.stdout.strip() in {"ConnectionResetError", "BrokenPipeError", "got b''"}, done.stdout
    told = studio.gateway.err.find(lambda line: "outside of its networks" in line)
    assert told is not None
    assert studio.network.stranger.address in told
    assert access_lines(studio, stranger.address) == []


def test_the_friend_is_not_taken_for_who_it_says_it_is(studio: Studio) -> None:
    forged = ("-H", "X-Forwarded-For: 127.0.0.1", "-H", f"Forwarded: for={studio.network.stranger.address}")
    done = studio.curl(studio.network.friend, f"{studio.url}/healthz", *forged, "-D", "-")
    request = next(line for line in done.stdout.splitlines() if line.lower().startswith("x-request-id"))
    line = studio.gateway.access_line(request.split()[1])
    assert (line["ip"], line["listener"], line["tls"]) == (studio.network.friend.address, "lan", "TLSv1.3")


def test_the_open_door_says_so_at_the_start(studio: Studio) -> None:
    line = studio.gateway.err.find(lambda text: "has no TLS (insecure: true)" in text)
    assert line is not None
    assert loads(line)["level"] == "warning"
    assert "listener plain" in line
    done = studio.network.friend.run(
        *("curl", "-sS", "--max-time", "20", "--noproxy", "*", f"http://{studio.network.here}:{studio.plain}/healthz")
    )
    assert done.stdout == '{"status":"ok"}'


def test_a_certificate_beyond_the_authoritys_bounds_is_refused_by_clients(studio: Studio, tmp_path: Path) -> None:
    """Whoever steals the authority's key can still not be example.com."""
    stolen = studio.gateway.folder / "home" / "tls" / "authority.pem"
    name = "example.com"
    leaf = forged_leaf(tmp_path, stolen, name)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    named = f"{name}:{port}:127.0.0.1"
    command = ("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(leaf), "-key", str(leaf), "-www")
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), 10.0, "openssl s_server listens")
        done = subprocess.run(
            (
                "curl",
                "-sS",
                "--noproxy",
                "*",
                "--cacert",
                str(studio.ca),
                "--resolve",
                named,
                f"https://{name}:{port}/",
            ),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 60
        assert "permitted subtree violation" in done.stderr
    finally:
        server.kill()
        server.wait()


def forged_leaf(folder: Path, stolen: Path, name: str) -> Path:
    """Key and certificate for `name`, signed by the authority in `stolen`, as openssl makes them."""
    key, request, extensions, leaf = (folder / each for each in ("key.pem", "csr.pem", "ext.cnf", "leaf.pem"))
    extensions.write_text(
        f"subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n"
    )
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key))
    sign = ("-CA", str(stolen), "-CAkey", str(stolen), "-CAcreateserial", "-CAserial", str(folder / "serial"))
    for command in (
        ("openssl", "req", "-new", *new_key, "-subj", "/", "-out", str(request)),
        ("openssl", "x509", "-req", "-in", str(request), *sign, "-extfile", str(extensions), "-out", str(leaf)),
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    leaf.write_bytes(leaf.read_bytes() + key.read_bytes())
    return leaf


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def access_lines(studio: Studio, ip: str) -> list[str]:
    return [line for line in studio.gateway.err.all if '"event":"access"' in line and f'"ip":"{ip}"' in line]
