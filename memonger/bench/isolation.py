"""Every run in a process of its own, with hard limits of time and memory.

Importing the solvers and loading what numba has compiled takes seconds. A server does it once, and
forks a process for each run: whatever that process does costs one row. A server has one thread, or
it could not fork.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import memonger
from memonger.bench.rows import Job, Outcome, Row
from memonger.errors import MemongerError

_local = threading.local()
_servers: set[Server] = set()


class BrokenServerError(MemongerError):
    """Runs cannot be started here, whatever they are."""


class Server:
    """A warm process that runs one job after the other, each in a fork of itself."""

    def __init__(self) -> None:
        here = str(Path(memonger.__file__).parents[1])
        path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._lock = threading.Lock()
        self._answered = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the server)
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from memonger.bench.server import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **one_thread, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for us, and we tell the server
        )

    def run(self, job: Job) -> Row | None:
        """Run a job; ``None`` where the server itself has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with self._lock:
                self._process.stdin.write(job.to_json().encode() + b"\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        except (OSError, ValueError):
            return None
        if not line.endswith(b"\n"):
            return None
        self._answered = True
        return Row.from_data(json.loads(line))

    @property
    def fault(self) -> str | None:
        """Why the server has never run anything; ``None`` if it has, or was killed."""
        if self._answered or self._process.wait() < 0:
            return None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no reason is known")

    @property
    def alive(self) -> bool:
        """Whether the server can run a job."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the server, and with it the process of its run; a thread that waits gets nothing."""
        self._process.kill()
        self._process.wait()
        self._errors.close()
        with self._lock:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()


def run_isolated(job: Job) -> Row:
    """Run a job in a process of its own, from the server of this thread; return its row.

    Whatever happens to the process, there is a row.

    Raises
    ------
    BrokenServerError
        If no process can be started: that is no fault of the job.
    """
    server: Server | None = getattr(_local, "server", None)
    if server is None or not server.alive:
        if server is not None:
            _discard(server)
        server = _local.server = Server()
        _servers.add(server)
    row = server.run(job)
    if row is not None:
        return row
    fault = server.fault
    _discard(server)
    if fault is not None:
        raise BrokenServerError(f"no process can be started for runs: {fault}")
    return Row.of(job, Outcome.CRASHED, reason="the process that was to watch it died")


def stop_servers() -> None:
    """End all servers of this process, and with them the runs that have not ended."""
    for server in list(_servers):
        _discard(server)


def _discard(server: Server) -> None:
    server.close()
    _servers.discard(server)


def row_line(row: Row) -> bytes:
    """Return a row as the server sends it."""
    return json.dumps(asdict(row)).encode() + b"\n"
