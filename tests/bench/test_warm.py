"""Warming up, in a process that has done nothing else."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from memonger.bench.warm import threads, warm_up
from memonger.heuristics import dive_kernel, overflow_kernel
from memonger.solver import order_kernel, placement_kernel
warm_up()
kernels = (
    dive_kernel.place_some,
    overflow_kernel.relieve,
    placement_kernel.place_all,
    order_kernel.search,
)
assert not [k.py_func.__name__ for k in kernels if not k.signatures], threads()
print(threads())
assert threads() == 1
"""


def test_the_kernels_are_loaded_and_no_thread_is_left():
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **alone},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
