"""Tuning the parameters of the solvers on sets of instances."""
