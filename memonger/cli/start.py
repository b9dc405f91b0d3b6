"""Where the program starts: before anything slow is imported."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and exit; Ctrl-C while modules load is an interruption like others."""
    try:
        from memonger.cli.main import main as run

        # Nets of 100,000 operators are millions of small objects that live to the end: looking
        # for garbage among them would take a quarter of the time.
        gc.freeze()
        gc.set_threshold(100_000, 50, 50)
        run()
    except KeyboardInterrupt:
        sys.stderr.write("memonger: error: interrupted; nothing was written\n")
        sys.exit(130)
