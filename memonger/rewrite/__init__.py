"""Rewriting nets, one pass a file, and the check that a rewritten net computes the same."""
