"""Chains and antichains of buffers in vector time.

"Over before, in every schedule" is a partial order. The buffers of a shared buffer are a chain of
it, buffers that conflict pairwise an antichain. By Dilworth's theorem a set of buffers fits into N
shared buffers iff none of its antichains has more than N members: conflict graphs of vector time
are perfect too, as those of intervals are.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from memonger.problem import IntArray, Problem
from memonger.solver.presolve import BoolArray


def order_matrix(problem: Problem) -> BoolArray:
    """Return ``before[i, j]``: buffer i is over before j begins, in every schedule.

    O(n^2) memory, n the number of buffers.
    """
    everyone = np.arange(len(problem))
    before = np.zeros((len(problem), len(problem)), dtype=np.bool_)
    for i in range(len(problem)):
        if problem.vector_time is None:
            before[i] = problem.ends[i] <= problem.starts
        else:
            before[i, problem.vector_time.over_before_all(i, everyone)] = True
    return before


def fewest_chains(before: BoolArray, members: IntArray) -> tuple[list[list[int]], list[int]]:
    """Return a partition of some buffers into as few chains as possible, and why not fewer.

    Parameters
    ----------
    before
        The partial order of all buffers.
    members
        The buffers.

    Returns
    -------
    chains
        Buffers of each chain, in their order.
    antichain
        As many buffers that conflict pairwise as there are chains.

    Notes
    -----
    A maximum matching of the comparabilities (Fulkerson); the antichain by Konig's theorem.
    """
    size = len(members)
    own = before[np.ix_(members, members)]
    graph = csr_matrix(own)
    # successor[i]: the next one in i's chain
    successor = maximum_bipartite_matching(graph, perm_type="column").astype(np.int64)
    predecessor = np.full(size, -1, dtype=np.int64)
    matched = np.flatnonzero(successor >= 0)
    predecessor[successor[matched]] = matched
    chains = []
    for head in np.flatnonzero(predecessor < 0).tolist():
        chain = [head]
        while successor[chain[-1]] >= 0:
            chain.append(int(successor[chain[-1]]))
        chains.append([int(members[i]) for i in chain])
    antichain = _uncovered(own, successor, predecessor)
    return chains, [int(members[i]) for i in antichain]


def _uncovered(own: BoolArray, successor: IntArray, predecessor: IntArray) -> list[int]:
    """Return the members that Konig's vertex cover takes on neither side."""
    size = len(own)
    left = np.zeros(size, dtype=np.bool_)  # reached by alternating paths from unmatched ones
    right = np.zeros(size, dtype=np.bool_)
    pending = np.flatnonzero(successor < 0).tolist()
    left[pending] = True
    while pending:
        i = pending.pop()
        fresh = np.flatnonzero(own[i] & ~right)
        right[fresh] = True
        for j in fresh.tolist():
            other = int(predecessor[j])
            if other >= 0 and not left[other]:
                left[other] = True
                pending.append(other)
    return [int(i) for i in np.flatnonzero(left & ~right)]


def extended(conflict: BoolArray, clique: list[int]) -> list[int]:
    """Return a maximal set of pairwise conflicting buffers that holds those of a clique."""
    result = list(clique)
    candidates = conflict[result].all(axis=0)
    while candidates.any():
        taken = int(np.argmax(candidates))
        result.append(taken)
        candidates = candidates & conflict[taken]
    return sorted(result)


def conflicts(before: BoolArray) -> BoolArray:
    """Return the conflicts of a partial order; no buffer conflicts with itself."""
    result: BoolArray = ~(before | before.T)
    np.fill_diagonal(result, val=False)
    return result


def conflict_cliques(conflict: BoolArray) -> list[list[int]]:
    """Return sets of pairwise conflicting buffers such that every conflict is in one of them.

    Greedy: a conflict that is in none yet is extended by all buffers, in their order, that
    conflict with all taken so far. O(n^3) at worst.
    """
    open_pairs = np.triu(conflict)
    cliques = []
    for i in range(len(conflict)):
        while open_pairs[i].any():
            clique = [i, int(np.argmax(open_pairs[i]))]
            candidates = conflict[clique[0]] & conflict[clique[1]]
            while candidates.any():
                # prefer buffers whose conflict with the first is still open
                wanted = candidates & open_pairs[i]
                taken = int(np.argmax(wanted if wanted.any() else candidates))
                clique.append(taken)
                candidates = candidates & conflict[taken]
            clique.sort()
            open_pairs[np.ix_(clique, clique)] = False
            cliques.append(clique)
    return cliques
