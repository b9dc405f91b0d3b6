"""Exact solvers and the one public `solve`, in `memonger.solver.solve`.

ortools is imported here and nowhere else.
"""

if __name__ != "memonger.solver":
    raise ImportError("import memonger.solver, not solver: see pyproject.toml")
