"""The state of the search for placements: compiled code works on these arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memonger.graph.sections import Sections
from memonger.vector_time import IntArray, VectorArray

MAX_ENTRIES = 1 << 23
"""Entries of a stack whose worst case is quadratic; a search that needs more gives up."""

BLOCK = 8
"""Sections that are added up at once."""

OPEN, POSTPONED, PLACED = 0, 1, 2
"""What a buffer is: free to be placed, to be raised before it is placed again, placed."""

# Columns of `State.frames`: a frame is a component that is being placed, one buffer a frame.
LOW, HIGH = 0, 1  # its buffers: pool[LOW:HIGH]
LEFT, RIGHT = 2, 3  # its sections, half-open
CHOSEN = 4  # the buffer that is placed in this frame, or -1
RAISES, MARKS, POOL, QUEUE = 5, 6, 7, 8  # heights of the stacks when the frame was opened
ON_FAILURE = 9  # the frame to change when this component cannot be placed, or -1
NEXT = 10  # the component to place after this one: a row of the queue, or -1
FRAME_FIELDS = 11

# Columns of `State.queue`: a component that waits has LOW ... RIGHT of its frame, and besides
WAITS_ON_FAILURE, WAITS_NEXT = 4, 5
QUEUE_FIELDS = 6

# Positions in `State.heights`.
FRAME, POOL_TOP, QUEUE_TOP, RAISE_TOP, MARK_TOP, NODES, DEEPEST, TABLE_TOP = range(8)


class Board(NamedTuple):
    """The buffers of a problem for the search, in units and sections; arrays of int64."""

    begin: IntArray
    end: IntArray
    size: IntArray
    alignment: IntArray
    pinned: IntArray
    first: IntArray  # neighbours of buffer i: neighbours[first[i]:first[i + 1]]
    neighbours: IntArray
    twin: IntArray  # equal for buffers that are the same but for their number
    row: IntArray  # sizes over sections of buffer i: rows[row[i]:row[i + 1]], 0 where it is dead
    row_begin: IntArray  # section that the row begins with: a multiple of `BLOCK`, as is its length
    rows: VectorArray


class State(NamedTuple):
    """Where a search stands; arrays of int64 but ``flag``, ``weight`` and the vectors.

    Vectors are of the narrowest integers that hold all sums: more of them are added at once.
    """

    head: IntArray  # lowest offset that the placed buffers leave to each buffer
    mark: IntArray  # head at which a buffer was tried in vain, or -1
    flag: npt.NDArray[np.int8]
    offset: IntArray
    total: VectorArray  # per section: scratch
    reach: IntArray  # per section: how high the unplaced buffers reach at least
    crossing: IntArray  # unplaced buffers that are live in sections s and s + 1
    frames: IntArray
    queue: IntArray
    pool: IntArray  # buffers of components
    pool_load: IntArray  # beside each: the most that is live in its component while it is
    bound: VectorArray  # of what is surveyed, by position: the head, or above it when postponed
    box: VectorArray  # and begin, end, lowest bottom, lowest top; shape (4, buffers): scratch
    far: VectorArray  # one number above all others
    raises: IntArray  # trail of heads: (buffer, head before)
    marks: IntArray  # trail of marks: (buffer, mark before)
    heights: IntArray
    slots: IntArray  # table of states that cannot be completed: hash -> position in `table`
    table: IntArray  # hash, count, then (buffer, 2 x head + postponed) of each
    weight: npt.NDArray[np.float64]  # how often a buffer could not be placed


def board_of(sections: Sections) -> Board:
    """Return the board of a component; O(n log n + pairs of buffers that conflict)."""
    begin, end = sections.begin, sections.end
    order = np.argsort(begin, kind="stable")
    # Later ones, in the order of their begins, that begin before a buffer ends.
    until = np.searchsorted(begin[order], end[order])
    later = until - np.arange(len(order)) - 1
    one = np.repeat(order, later)
    steps = np.arange(int(later.sum())) - np.repeat(np.cumsum(later) - later, later)
    other = order[np.repeat(np.arange(len(order)) + 1, later) + steps]
    source, target = np.concatenate([one, other]), np.concatenate([other, one])
    by_source = np.lexsort((target, source))
    rows = np.stack([begin, end, sections.size, sections.alignment, sections.pinned], axis=1)
    twin = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    row, row_begin, sizes = _rows_of(sections)
    return Board(
        begin=np.ascontiguousarray(begin),
        end=np.ascontiguousarray(end),
        size=np.ascontiguousarray(sections.size),
        alignment=sections.alignment,
        pinned=sections.pinned,
        first=np.searchsorted(source[by_source], np.arange(len(sections) + 1)),
        neighbours=target[by_source],
        twin=twin.astype(np.int64),
        row=row,
        row_begin=row_begin,
        rows=sizes,
    )


def _rows_of(sections: Sections) -> tuple[IntArray, IntArray, VectorArray]:
    """Return the size of each buffer over sections, in whole blocks."""
    left = sections.begin // BLOCK * BLOCK
    right = -(-sections.end // BLOCK) * BLOCK
    row = np.append(0, np.cumsum(right - left))
    owner = np.repeat(np.arange(len(sections)), right - left)
    at = np.arange(row[-1]) - row[owner] + left[owner]
    live = (sections.begin[owner] <= at) & (at < sections.end[owner])
    return row, left, np.where(live, sections.size[owner], 0).astype(_vector_type(sections))


def _vector_type(sections: Sections) -> type[np.signedinteger[Any]]:
    """Return the narrowest type that holds the top of any pile of all buffers, twice."""
    pile = sum((sections.size + sections.alignment).tolist())
    pile += max(0, int(sections.pinned.max(initial=0)))
    return np.int32 if 2 * pile < np.iinfo(np.int32).max else np.int64


def state_of(sections: Sections, board: Board, *, table_bits: int = 23) -> State:
    """Return the state of a search that has not begun."""
    count = len(sections)
    blocks = -(-(sections.num_sections + 1) // BLOCK)
    vector: type[np.signedinteger[Any]] = board.rows.dtype.type
    stack = min(count * (count + 2) + 2, MAX_ENTRIES)

    def zeros(*shape: int) -> IntArray:
        return np.zeros(shape, dtype=np.int64)

    return State(
        head=zeros(count),
        mark=zeros(count),
        flag=np.zeros(count, dtype=np.int8),
        offset=zeros(count),
        total=np.zeros(blocks * BLOCK, dtype=vector),
        reach=zeros(sections.num_sections + 1),
        crossing=zeros(sections.num_sections + 1),
        frames=zeros(2 * count + 4, FRAME_FIELDS),
        queue=zeros(4 * count + 8, QUEUE_FIELDS),
        pool=zeros(stack),
        pool_load=zeros(stack),
        bound=np.zeros(count, dtype=vector),
        box=np.zeros((4, count), dtype=vector),
        far=np.array([np.iinfo(vector).max], dtype=vector),
        raises=zeros(len(board.neighbours) // 2 + 1, 2),  # a pair raises a head once
        marks=zeros(stack, 2),
        heights=zeros(8),
        slots=zeros(1 << (table_bits - 4)),
        table=zeros(1 << table_bits),
        weight=np.zeros(count),
    )
