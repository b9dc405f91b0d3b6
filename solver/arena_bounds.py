"""Certified bounds of the arena form."""

from __future__ import annotations

import math

import numpy as np

from memonger.certificate import CliqueCertificate
from memonger.graph.sections import Sections, sections_of
from memonger.problem import Problem

CANDIDATES = 16


def clique_bound(problem: Problem, sections: Sections) -> tuple[int, CliqueCertificate]:
    """Return the load bound in bytes and the time that proves it.

    Where buffers are aligned, what is live at a time takes a little more than its load; so the
    times of the largest loads, sizes rounded up, are looked at closely.

    Parameters
    ----------
    problem
        Buffers of one device, in interval time.
    sections
        Those of them that have a size.

    Notes
    -----
    O(n log n).
    """
    if not sections.num_sections:
        return 0, CliqueCertificate(0)
    step = math.gcd(*(problem.buffers[i].alignment for i in sections.indices.tolist())) or 1
    sizes = problem.raw_sizes[sections.indices]
    change = np.zeros(sections.num_sections + 1, dtype=np.int64)
    rounded = sizes + -sizes % step
    np.add.at(change, sections.begin, rounded)
    np.add.at(change, sections.end, -rounded)
    load = np.cumsum(change)[:-1]
    if step == 1 and all(buffer.alignment == 1 for buffer in problem.buffers):
        best = np.array([np.argmax(load)])
    else:
        best = np.argsort(-load, kind="stable")[:CANDIDATES]
    certificates = [CliqueCertificate(int(sections.times[k])) for k in best.tolist()]
    bounds = [certificate.bound(problem) for certificate in certificates]
    at = int(np.argmax(bounds))
    return bounds[at], certificates[at]


def load_bound(problem: Problem) -> tuple[int, CliqueCertificate]:
    """Return `clique_bound` of a problem of one device."""
    return clique_bound(problem, sections_of(problem))
