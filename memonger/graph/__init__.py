"""Dataflow graph, live ranges, concurrency and memory profiles."""
