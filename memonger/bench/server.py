"""The warm process that forks for each run and watches what it has forked."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from memonger.bench.isolation import row_line
from memonger.bench.rows import Job, Outcome, Row
from memonger.bench.trial import row_of, run_trial
from memonger.bench.warm import warm_up

LOADING_SECONDS = 300.0
"""For reading an instance, beside the time limit (an order may have to be found)."""
SLACK_SECONDS = 5.0
"""Beyond 1.25 time limits: algorithms end by themselves within 1.1 limits and a second."""
POLL_SECONDS = 0.02
ADDRESS_SLACK = 1 << 30
"""Bytes of addresses beyond the memory limit: threads reserve more than they touch."""
_LOADED = b"loaded\n"
_PR_SET_PDEATHSIG = 1


def serve() -> None:
    """Answer jobs on stdin by rows on stdout, a line each, until stdin ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what solvers print is no answer
    warm_up()
    gc.collect()
    gc.freeze()  # looking for garbage would copy what the forks share
    for line in sys.stdin.buffer:
        answer = row_line(supervised(Job.from_json(line.decode())))
        while answer:
            answer = answer[os.write(answers, answer) :]


@dataclass
class _Watch:
    """What is known of a run that is watched."""

    job: Job
    pid: int
    data: bytes = b""
    loaded: float | None = None

    def fault(self, started: float) -> tuple[Outcome, str] | None:
        """Return why the run must be ended now, if it must."""
        limit, now = self.job.memory_limit, time.monotonic()
        if limit is not None and (used := _resident(self.pid)) > limit:
            return Outcome.OUT_OF_MEMORY, f"it used {used:,} bytes"
        if self.loaded is None:
            if now > started + LOADING_SECONDS + self.job.time_limit:
                return Outcome.TIMED_OUT, "the instance was not read in time"
        elif now > self.loaded + 1.25 * self.job.time_limit + SLACK_SECONDS:
            return Outcome.TIMED_OUT, "it did not heed the time limit"
        return None


def supervised(job: Job) -> Row:
    """Fork a process for a job, watch it, and return its row."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(job, writer)
    os.close(writer)
    watch, started, fault = _Watch(job, pid), time.monotonic(), None
    while fault is None:
        if select.select([reader], [], [], POLL_SECONDS)[0]:
            part = os.read(reader, 1 << 16)
            if not part:
                break
            watch.data += part
            if watch.loaded is None and watch.data.startswith(_LOADED):
                watch.loaded = time.monotonic()
        fault = watch.fault(started)
    os.close(reader)
    if fault is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, code, usage = os.wait4(pid, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    row = _row_of(watch, os.waitstatus_to_exitcode(code), fault, peak)
    return replace(row, peak_memory=peak)


def _row_of(watch: _Watch, code: int, fault: tuple[Outcome, str] | None, peak: int) -> Row:
    """Return the row that the process has sent, or one that says why it has not."""
    line = watch.data.removeprefix(_LOADED)
    if fault is None and line.endswith(b"\n"):
        return Row.from_data(json.loads(line))
    if fault is None:
        limit = watch.job.memory_limit
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        full = limit is not None and peak > 0.9 * limit
        fault = (Outcome.OUT_OF_MEMORY if full else Outcome.CRASHED), how
    return row_of(watch.job, *fault)


def _child(job: Job, writer: int) -> None:
    """Run a job in this process, send its row, and end the process."""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _die_with_parent()
        _limit_memory(job.memory_limit)
        try:
            row = run_trial(job, lambda: _send(writer, _LOADED))
        except MemoryError:
            row = row_of(job, Outcome.OUT_OF_MEMORY, "an allocation failed")
        except Exception as error:
            row = row_of(job, Outcome.CRASHED, f"{type(error).__name__}: {error}")
        _send(writer, row_line(row))
        os._exit(0)
    finally:
        os._exit(1)


def _send(writer: int, data: bytes) -> None:
    while data:
        data = data[os.write(writer, data) :]


def _limit_memory(limit: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limit is not None and sys.platform != "darwin":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        addresses = _pages(os.getpid(), 0) + limit + ADDRESS_SLACK
        addresses = min(addresses, sys.maxsize if hard == resource.RLIM_INFINITY else hard)
        resource.setrlimit(resource.RLIMIT_AS, (addresses, hard))


def _resident(pid: int) -> int:
    return _pages(pid, 1)


def _pages(pid: int, column: int) -> int:
    """Return a figure of ``/proc/PID/statm`` in bytes; 0 where there is none."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[column]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _die_with_parent() -> None:
    """Let the kernel end this process with the server; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
