"""Benchmarks: many algorithms on many instances, one row for each run, and what the rows say."""
