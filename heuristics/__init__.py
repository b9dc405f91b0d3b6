"""Heuristics; `memonger.heuristics.sharing_table` registers those of the sharing form.

Each is a free function of a problem (one device) that returns a plan; see CONTRIBUTING.md for how
to add one.
"""

if __name__ != "memonger.heuristics":
    raise ImportError("import memonger.heuristics, not heuristics: see pyproject.toml")
