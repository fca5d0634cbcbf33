"""Several processes, and a disk that is full: what the files hold when it is not one well-behaved writer alone."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from observability.decisions.segments import listing
from tests.observability.decisions.records import BEGAN, SMALL, ids, opened, record, request, until


def test_a_full_disk_loses_whole_records_only(tmp_path: Path) -> None:
    """The kernel's own limit on file sizes plays the disk, in a process of its own."""
    program = textwrap.dedent("""
        import asyncio, resource, sys
        from pathlib import Path
        from observability.decisions.log import DecisionLog, DecisionLogError
        from observability.decisions.settings import DecisionLogSettings
        from tests.observability.decisions.records import record

        async def main():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            log = DecisionLog(Path(sys.argv[1]), DecisionLogSettings())
            done = 0
            try:
                for number in range(100):
                    await log.write_durably(record(number))
                    done += 1
            except DecisionLogError as error:
                print(done, error)
            log.close()

        asyncio.run(main())
    """)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    count, _, error = done.stdout.partition(" ")
    assert "File too large" in error
    assert ids(tmp_path) == [request(number) for number in range(int(count))]
    assert listing(tmp_path)[0].size <= 20_000
    assert listing(tmp_path)[0].path.read_bytes().endswith(b"}\n")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20_000


def test_several_processes_fill_one_folder(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from observability.decisions.log import DecisionLog
        from observability.decisions.settings import DecisionLogSettings
        from tests.observability.decisions.records import record

        log = DecisionLog(Path(sys.argv[1]), DecisionLogSettings(max_bytes=64 * 2**20, segment_bytes=128 * 1024))
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(int(sys.argv[2]), 600, 2):
            log.write(record(number))
        log.close()
        assert log.dropped == 0
    """)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for first in (0, 1)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        child.communicate(b"go\n", timeout=60)
        assert child.returncode == 0
    assert ids(tmp_path) == [request(number) for number in range(600)]
    assert len({file.path.name.split("-")[2] for file in listing(tmp_path)}) == 2


def test_a_process_never_prunes_what_another_one_writes(tmp_path: Path) -> None:
    with opened(tmp_path, now=lambda: BEGAN) as slow:
        slow.write(record(0))
        until(lambda: ids(tmp_path) == [request(0)])
        with opened(tmp_path, now=lambda: BEGAN + 1) as fast:
            for number in range(1, 400):
                fast.write(record(number, pad="x" * 1024))
            until(lambda: request(399) in ids(tmp_path))
        slow.write(record(1000))
        until(lambda: request(1000) in ids(tmp_path))
    assert request(0) in ids(tmp_path)
    assert sum(file.size for file in listing(tmp_path)) <= SMALL.max_bytes
