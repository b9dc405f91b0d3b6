"""Readers and writers of every format, generators, built-in networks and named sets."""

if __name__ != "memonger.instances":
    raise ImportError("import memonger.instances, not instances: see pyproject.toml")
