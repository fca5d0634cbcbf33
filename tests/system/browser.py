"""A real Chromium without a window that shows one page of a site of the test's own, and what the page's script says."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Final

from policies.json import Object
from tests.system.wire import loads

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_MAC: Final = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
_OPTIONS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
WITHIN: Final = 60.0
"""Seconds. A browser's first start on a busy machine is slow."""


def program() -> str:
    """Where it is."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None) or (_MAC if Path(_MAC).exists() else None)
    assert found is not None, "no chromium: requirements/system.sh installs it"
    return found


class Site:
    """One origin, and the pages on it. Scripts `tell` what they saw."""

    def __init__(self) -> None:
        self.said: Queue[Object] = Queue()
        self.script = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @contextmanager
    def running(self) -> Iterator[Site]:
        """Serve while entered."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    @property
    def page(self) -> bytes:
        """Runs `script`, an async function's body that may `tell`, and tells what it returns or throws."""
        return b"""<!doctype html><meta charset="utf-8"><script type="module">
const tell = (said) => fetch("/said", {method: "POST", body: JSON.stringify(said)});
const run = async () => { %b };
run().then(tell, (error) => tell({threw: String(error)}));
</script>""" % self.script.encode()

    def _handler(site) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the request's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(site.page if self.path == "/" else b"")

            def do_POST(self) -> None:
                site.said.put(loads(self.rfile.read(int(self.headers["content-length"]))))
                self._send(b"")

            def _send(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def visiting(site: Site, folder: Path, script: str) -> Iterator[Callable[[], Object]]:
    """A page of `site` that runs `script`, shown by a browser of its own whose files lie in `folder`. Gives a function
    that waits for what the page says next; last it says what the script returned."""
    site.script = script
    browser = subprocess.Popen(
        (program(), *_OPTIONS, f"--user-data-dir={folder}", site.origin + "/"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def said() -> Object:
        try:
            return site.said.get(timeout=WITHIN)
        except Empty:
            raise AssertionError(f"the page said nothing; exit code {browser.poll()}") from None

    try:
        yield said
    finally:
        browser.kill()
        browser.wait()
