"""Plan the memory of neural networks, and prove the plans optimal."""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from memonger.errors import MemongerError
    from memonger.gaps import Gap
    from memonger.instances.loading import load
    from memonger.instances.torch_graph import from_torch
    from memonger.net.io import load_net, save_net
    from memonger.order_problem import Allocation, OrderProblem
    from memonger.ordering import optimal_order
    from memonger.pipeline import optimize
    from memonger.plan import ArenaPlan, OrderPlan, SharingPlan
    from memonger.problem import Buffer, Problem
    from memonger.result import Proof, Result, Status
    from memonger.solver.order import solve_order
    from memonger.solver.solve import solve
    from memonger.verify import verify_arena, verify_order, verify_sharing

__all__ = [
    "Allocation",
    "ArenaPlan",
    "Buffer",
    "Gap",
    "MemongerError",
    "OrderPlan",
    "OrderProblem",
    "Problem",
    "Proof",
    "Result",
    "SharingPlan",
    "Status",
    "from_torch",
    "load",
    "load_net",
    "optimal_order",
    "optimize",
    "save_net",
    "solve",
    "solve_order",
    "verify_arena",
    "verify_order",
    "verify_sharing",
]

# Where each public name lives. They are loaded on first use: ortools and numba take a second to
# import, which a program that only reads a net, or prints a help text, should not pay.
_HOMES = {
    "Allocation": "memonger.order_problem",
    "ArenaPlan": "memonger.plan",
    "Buffer": "memonger.problem",
    "Gap": "memonger.gaps",
    "MemongerError": "memonger.errors",
    "OrderPlan": "memonger.plan",
    "OrderProblem": "memonger.order_problem",
    "Problem": "memonger.problem",
    "Proof": "memonger.result",
    "Result": "memonger.result",
    "SharingPlan": "memonger.plan",
    "Status": "memonger.result",
    "from_torch": "memonger.instances.torch_graph",
    "load": "memonger.instances.loading",
    "load_net": "memonger.net.io",
    "optimal_order": "memonger.ordering",
    "optimize": "memonger.pipeline",
    "save_net": "memonger.net.io",
    "solve": "memonger.solver.solve",
    "solve_order": "memonger.solver.order",
    "verify_arena": "memonger.verify",
    "verify_order": "memonger.verify",
    "verify_sharing": "memonger.verify",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        raise AttributeError(f"module 'memonger' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
