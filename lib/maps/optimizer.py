"""Positions on the map from UMAP's graph, on all cores, the same with any number.

UMAP's own optimizer moves both ends of an edge as soon as it draws it, so that several
threads overwrite each other, and with a seed it uses one. Here a thread moves one row
along all its edges while the other rows of its block stay where they are, as in the
batch mode of uwot (Melville 2021); random numbers depend on row and epoch alone. Edges,
epochs, forces and their decay are those of UMAP (McInnes et al. 2018).

Where rows have many neighbors, one row of four is laid out first, which costs a
sixteenth; the others are then put amid their neighbors, and all rows move in the last
quarter of the epochs alone. The map keeps as many neighbors (benchmarks/RESULTS.md).

numba compiles this module when it is imported: a few seconds.
"""

import numba
import numpy as np
from numba import float32, int64, prange, uint64

from lib.system.machine import usable_cores

# Of rows, moved one after the other: in 1 alone, neighbors would swap places.
BLOCKS = 4
SAMPLED = 4  # one row of so many is laid out first, ...
LEAST_DEGREE = 32  # ... where a row has so many neighbors on average
LAST = 0.25  # of the epochs, in which all rows move then
CLIP = 4.0  # largest step in each coordinate, before it is scaled by the rate
# Forces are tabulated over the squared distance: 64 values for each power of two.
LOWEST, HIGHEST = -30, 24
CELL_BITS = 6
REST_BITS = 23 - CELL_BITS  # of the mantissa of a float32


def optimize_positions(graph, start, *, n_epochs, a, b, seed):
    """Pull neighbors together and push other rows apart.

    Parameters
    ----------
    graph : scipy.sparse matrix of float32, shape (N, N)
        Symmetric; strength of each edge, as of UMAP.
    start : ndarray, shape (N, C)
        Initial positions, about 10 wide.
    n_epochs : int
        The strongest edge is drawn in each, others in proportion.
    a, b : float
        Of the curve ``1 / (1 + a d^(2 b))``.
    seed : int

    Returns
    -------
    ndarray of float32, shape (N, C)
        The same for any number of threads.
    """
    graph, start = graph.tocsr(), np.array(start, np.float32, order="C")
    curve = {"n_epochs": n_epochs, "a": a, "b": b, "seed": seed}
    if graph.nnz < LEAST_DEGREE * len(start):
        return _optimize(graph, start, **curve)
    rows = np.random.default_rng(seed).permutation(len(start))
    rows = np.sort(rows[: len(start) // SAMPLED])
    sample = _optimize(graph[rows][:, rows], start[rows], **curve)
    start = _put_amid_neighbors(graph, rows, sample)
    return _optimize(graph, start, first=round((1 - LAST) * n_epochs), **curve)


def _put_amid_neighbors(graph, rows, sample):
    """Return positions of all rows: the mean of their neighbors among some rows."""
    placed = np.zeros((graph.shape[0], sample.shape[1]), np.float32)
    placed[rows] = sample
    known = np.zeros(len(placed), np.float32)
    known[rows] = 1
    for _ in range(2):  # some have no such neighbor, but neighbors that have
        weight = graph @ known
        found = (weight > 0) & (known == 0)
        placed[found] = (graph @ placed)[found] / weight[found, None]
        known[found] = 1
    placed[known == 0] = sample.mean(axis=0)
    return placed


def _optimize(graph, position, *, n_epochs, a, b, seed, first=0):
    """Move positions in place, from some epoch on; return them."""
    indptr, others, rate = _drawn_edges(graph, n_epochs)
    moved = np.empty((-(-len(position) // BLOCKS), position.shape[1]), np.float32)
    pull, push = _force_tables(a, b)
    before = numba.get_num_threads()
    numba.set_num_threads(max(1, min(usable_cores(), before)))
    try:
        for epoch in range(first, n_epochs):
            step = np.float32(1 - epoch / n_epochs)
            for number in range(BLOCKS):
                block = position[number::BLOCKS]
                _move_block(
                    *(position, moved, number, indptr, others, rate),
                    *(pull, push, step, epoch, seed),
                )
                block[:] = moved[: len(block)]
    finally:
        numba.set_num_threads(before)
    return position


def _drawn_edges(graph, n_epochs):
    """Return the edges that are drawn at least once, and how often in an epoch."""
    strongest = graph.data.max()
    kept = graph.data >= strongest / n_epochs
    indptr = np.concatenate([[0], np.cumsum(kept)])[graph.indptr]
    rate = (graph.data[kept] / strongest).astype(np.float32)
    return indptr, graph.indices[kept].astype(np.int32), rate


def _force_tables(a, b):
    """Return the forces of neighbors and of other rows over the squared distance."""
    cells = 1 + np.arange(2**CELL_BITS) / 2**CELL_BITS
    square = (2.0 ** np.arange(LOWEST, HIGHEST)[:, None] * cells).ravel()
    curve = 1 + a * square**b
    pull = 2 * a * b * square ** (b - 1) / curve
    push = 2 * b / ((0.001 + square) * curve)
    return pull.astype(np.float32), push.astype(np.float32)


@numba.njit(fastmath=True)
def _force(table, square):
    """Interpolate a table by the exponent and the first bits of a float32."""
    bits = np.float32(square).view(np.int32)
    cell = (bits >> REST_BITS) - ((127 + LOWEST) << CELL_BITS)
    if cell < 0:
        return table[0]
    if cell >= len(table) - 1:
        return float32(0)
    rest = float32(bits & ((1 << REST_BITS) - 1)) * float32(2.0**-REST_BITS)
    return table[cell] + rest * (table[cell + 1] - table[cell])


@numba.njit(fastmath=True)
def _mixed(state):
    """Return 64 random bits of a number (the finalizer of SplitMix64)."""
    state = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> uint64(27))) * uint64(0x94D049BB133111EB)
    return state ^ (state >> uint64(31))


@numba.njit(fastmath=True)
def _move(own, other, table, step):
    """Move a position by the force between it and another."""
    square = float32(0)
    for axis in range(len(own)):
        square += (own[axis] - other[axis]) ** 2
    force = _force(table, square)
    for axis in range(len(own)):
        wanted = force * (own[axis] - other[axis])
        own[axis] += step * min(max(wanted, float32(-CLIP)), float32(CLIP))


@numba.njit(parallel=True, fastmath=True)
def _move_block(
    position, moved, first, indptr, others, rate, pull, push, step, epoch, seed
):
    """Write the new positions of every row of a block into `moved`.

    An edge lies in the rows of both its ends, and UMAP moves both ends each time: so
    each row moves twice along an edge, with five other rows to be pushed away by.
    """
    n = len(position)
    for index in prange((n - first + BLOCKS - 1) // BLOCKS):
        row = first + index * BLOCKS
        own = moved[index]
        own[:] = position[row]
        state = _mixed(_mixed(uint64(seed)) + uint64(epoch) * uint64(n) + uint64(row))
        for edge in range(indptr[row], indptr[row + 1]):
            if int64((epoch + 1) * rate[edge]) <= int64(epoch * rate[edge]):
                continue
            for turn in range(2):
                _move(own, position[others[edge]], pull, -step)
                for _ in range(2 + turn):
                    state += uint64(0x9E3779B97F4A7C15)
                    far = ((_mixed(state) >> uint64(32)) * uint64(n)) >> uint64(32)
                    _move(own, position[int64(far)], push, step)
