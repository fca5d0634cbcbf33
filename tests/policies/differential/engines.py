"""What each engine makes of the cases: a real OPA, and the embedded engine's own program, both on a UNIX socket.

An OPA is given one policy at a time and refuses what does not compile. The embedded program gets all cases in one
bundle behind one rule that picks the case, so those that do not load are sorted out before, one by one.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from policies.embedded.rego import Policy, RegoError, forbid
from policies.json import JSON
from tests.policies.differential.cases import DATA, SHARED, Case

OPA = Path(sys.executable).parent / "opa"
ROOT = Path(__file__).parent.parent.parent.parent
REFUSED, UNDEFINED, ERROR = "refused", "undefined", "error"
"""Outcomes besides `= <JSON>`."""
_DEADLINE = 30.0
_QUERY = "?strict-builtin-errors=true"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_DEADLINE)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise

    def ask(self, method: str, path: str, body: str) -> tuple[int, JSON]:
        """Status and document of an answer."""
        self.request(method, path, body.encode(), {"content-type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        document: JSON = json.loads(text) if text else None
        return answer.status, document


@contextmanager
def _running(argv: Sequence[str], path: Path, environment: dict[str, str]) -> Iterator[_Connection]:
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    connection = _Connection(path)
    try:
        _wait(connection, process)
        yield connection
    finally:
        connection.close()
        process.kill()
        process.communicate()


def _wait(connection: _Connection, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        try:
            connection.connect()
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.01)
        else:
            return
    process.kill()
    raise RuntimeError(process.communicate()[0].decode())


def told(status: int, document: JSON) -> str:
    """What an answer of the data API says."""
    if status != http.HTTPStatus.OK:
        return ERROR
    assert isinstance(document, dict)
    return "= " + written(document["result"]) if "result" in document else UNDEFINED


def written(value: JSON) -> str:
    """JSON in which equal values are equal texts: 1.0 is 1."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def by_opa(cases: Sequence[Case], folder: Path) -> dict[str, str]:
    """Outcome by name of the case."""
    path = folder / "opa.sock"
    argv = [str(OPA), "run", "--server", "--addr", f"unix://{path}", "--skip-version-check", "--log-level", "error"]
    found = {}
    with _running(argv, path, {"HOME": "/nonexistent"}) as opa:
        assert opa.ask("PUT", "/v1/data/gwcfg", json.dumps(DATA))[0] == http.HTTPStatus.NO_CONTENT
        assert opa.ask("PUT", "/v1/policies/shared", SHARED[1])[0] == http.HTTPStatus.OK
        for case in cases:
            status, _ = opa.ask("PUT", f"/v1/policies/{case.file}", case.module)
            if status != http.HTTPStatus.OK:
                found[case.name] = REFUSED
                continue
            place = f"/v1/data/{case.package.replace('.', '/')}/v{_QUERY}"
            found[case.name] = told(*opa.ask("POST", place, json.dumps({"input": case.given})))
            opa.ask("DELETE", f"/v1/policies/{case.file}", "")
    return found


def loads(case: Case) -> bool:
    """Whether the embedded program takes the text."""
    modules = dict([SHARED, (case.file, case.module)])
    try:
        forbid(modules)
        Policy(modules, DATA)
    except RegoError:
        return False
    return True


def _dispatcher(cases: Sequence[Case]) -> str:
    rules = (f"decision := data.{case.package}.v if input.case == {case.number}" for case in cases)
    return "\n\n".join(["package gateway.authz", 'decision := "none" if input.case == -1', *rules]) + "\n"


def _modules(cases: Sequence[Case]) -> dict[str, str]:
    return {"d.rego": _dispatcher(cases), SHARED[0]: SHARED[1], **{case.file: case.module for case in cases}}


def spoils_others(case: Case) -> bool:
    """Whether nothing can be evaluated beside it: what it has is an error of the whole policy."""
    try:
        return Policy(_modules([case]), DATA).value('{"case": -1}') is None
    except RegoError:
        return True


def by_embedded(cases: Sequence[Case], folder: Path) -> dict[str, str]:
    """Outcome by name of the case; the text of a case must not recurse without end."""
    found = {case.name: REFUSED for case in cases if not loads(case)}
    found |= {case.name: ERROR for case in cases if case.name not in found and spoils_others(case)}
    rest = [case for case in cases if case.name not in found]
    path, bundle = folder / "embedded.sock", folder / "bundle.json"
    bundle.write_text(json.dumps({"modules": _modules(rest), "data": DATA}))
    argv = [sys.executable, "-m", "policies.embedded", "serve", "--addr", f"unix://{path}", "--bundle", str(bundle)]
    with _running(argv, path, {"PYTHONPATH": str(ROOT), "RUST_BACKTRACE": "0"}) as engine:
        for case in rest:
            document = json.dumps({"input": {**case.given, "case": case.number}})
            found[case.name] = told(*engine.ask("POST", f"/v1/data/gateway/authz/decision{_QUERY}", document))
    return found
