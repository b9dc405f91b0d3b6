"""Certified bounds of the arena form."""

from __future__ import annotations

import math

import numpy as np

from memonger.certificate import CliqueCertificate
from memonger.graph.sections import Sections, load_over, sections_of
from memonger.graph.spans import spans_of
from memonger.problem import Problem

CANDIDATES = 16


def clique_bound(problem: Problem, sections: Sections) -> tuple[int, CliqueCertificate]:
    """Return the load bound in bytes and the time that proves it.

    Where buffers are aligned, what is live at a time takes a little more than its load; so the
    times of the largest loads, sizes rounded up, are looked at closely. Gaps are heeded.

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
    spans = spans_of(problem, sections)
    if not spans.num_sections:
        return 0, CliqueCertificate(0)
    alignments = [problem.buffers[i].alignment for i in sections.indices.tolist()]
    sizes = (spans.upper - spans.lower) * sections.unit
    step = math.gcd(*alignments, *(spans.lower * sections.unit).tolist()) or 1
    load = load_over(spans.num_sections, spans.begin, spans.end, sizes + -sizes % step)
    if max(alignments) == 1:
        best = np.array([np.argmax(load)])
    else:
        best = np.argsort(-load, kind="stable")[:CANDIDATES]
    certificates = [CliqueCertificate(int(spans.times[k])) for k in best.tolist()]
    bounds = [certificate.bound(problem) for certificate in certificates]
    at = int(np.argmax(bounds))
    return bounds[at], certificates[at]


def load_bound(problem: Problem) -> tuple[int, CliqueCertificate]:
    """Return `clique_bound` of a problem of one device."""
    return clique_bound(problem, sections_of(problem))
