"""Give each buffer an offset in one arena, and write them for a program in C."""

from pathlib import Path

import memonger
from memonger.instances.c_header import plan_to_header

Path("buffers.csv").write_text(
    "id,lower,upper,size\nimage,0,2,3072\nconv1,1,4,8192\nconv2,3,6,4096\nscores,5,7,40\n"
)
problem = memonger.load("buffers.csv")
result = memonger.solve(problem, form="arena")
assert memonger.verify_arena(problem, result.plan) == result.objective
Path("arena.h").write_text(plan_to_header(problem, result.plan))
print(f"{result.status.value}: {result.objective} bytes, proven by {result.proof}")
