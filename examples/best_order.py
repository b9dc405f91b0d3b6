"""Find the order of the operators in which the fewest bytes are live at once."""

from memonger import solve_order, verify_order
from memonger.instances.loading import load_order_problem

operators = load_order_problem("silero_vad_16k")
result = solve_order(operators)
assert verify_order(operators, result.plan) == result.objective
program = int(operators.loads(range(len(operators))).max())
print(f"program order: {program:,} bytes at once; best order: {result.objective:,}")
print(f"{result.status.value} over all orders, proven by {result.proof}")
