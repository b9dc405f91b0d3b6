"""Where the program starts: before anything slow is imported."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
_LINE = "memonger: error: interrupted\n"


def main() -> None:
    """Run the command line and exit; Ctrl-C is exit code 130 and one line, whenever it comes."""
    _listen()
    try:
        from memonger.cli.main import main as run

        # Nets of 100,000 operators are millions of small objects that live to the end: looking
        # for garbage among them would take a quarter of the time.
        gc.freeze()
        gc.set_threshold(100_000, 50, 50)
        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
        if sys.stderr is not None:
            sys.stderr.write(_LINE)
    _leave(code)


def _listen() -> None:
    """Take Ctrl-C, unless whoever started the process said to ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """End the process while modules load, else raise ``KeyboardInterrupt``.

    Modules written in C take an exception that is raised while they load for an ``ImportError``
    of their own. There is nothing to clean up then.
    """
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            with suppress(OSError):
                os.write(2, _LINE.encode())
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _leave(code: int) -> None:
    """Exit; an interruption that comes now is too late."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if any(thread.daemon for thread in threading.enumerate()):
        # A solver that was given up still runs: it must not find the interpreter torn down.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.flush()
        os._exit(code)
    sys.exit(code)
