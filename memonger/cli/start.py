"""Where the program starts: before anything slow is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit; Ctrl-C while modules load is an interruption like others."""
    try:
        from memonger.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("memonger: error: interrupted; nothing was written\n")
        sys.exit(130)
