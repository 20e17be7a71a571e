"""Positions on the map from UMAP's graph, on all cores, the same with any number.

UMAP's own optimizer moves both ends of an edge as soon as it draws it, so that several
threads overwrite each other, and with a seed it uses one. Here a thread moves one row
along all its edges while the other rows of its block stay where they are, as in the
batch mode of uwot (Melville 2021); random numbers depend on row and epoch alone. Edges,
epochs, forces and their decay are those of UMAP (McInnes et al. 2018). The rows that
push are drawn from a few thousand, other ones for each block and epoch, which fit into
the cache: of a million rows, to read others at random took most of the time.

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
POOL_BITS = 13  # of the number of rows that push the others of a block in an epoch
PUSHES = 5  # for each edge that is drawn
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


def _optimize(graph, start, *, n_epochs, a, b, seed, first=0):
    """Return the positions that those of some epoch come to."""
    indptr, others, rate = _drawn_edges(graph, n_epochs)
    n, axes = start.shape
    position = np.zeros((n, 4), np.float32)  # 16 bytes a row, and one loop for 2 and 3
    position[:, :axes] = start
    moved = np.zeros((-(-n // BLOCKS), 4), np.float32)
    pull, push = _force_tables(a, b)
    before = numba.get_num_threads()
    numba.set_num_threads(max(1, min(usable_cores(), before)))
    try:
        for epoch in range(first, n_epochs):
            step = np.float32(1 - epoch / n_epochs)
            for number in range(BLOCKS):
                block = position[number::BLOCKS]
                drawn = np.random.default_rng((seed, epoch, number))
                far = drawn.integers(n, size=2**POOL_BITS)
                pool = np.ascontiguousarray(position[far].T)
                _move_block(
                    *(position, moved, number, indptr, others, rate, pool),
                    *(pull, push, step, epoch, seed),
                )
                block[:] = moved[: len(block)]
    finally:
        numba.set_num_threads(before)
    return position[:, :axes].copy()


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


@numba.njit(fastmath=True, inline="always")
def _force(table, square):
    """Interpolate a table by the exponent and the first bits of a float32."""
    square = min(max(square, float32(2.0**LOWEST)), float32(2.0 ** (HIGHEST - 1)))
    bits = np.float32(square).view(np.int32)
    cell = uint64((bits >> REST_BITS) - ((127 + LOWEST) << CELL_BITS))
    rest = float32(bits & ((1 << REST_BITS) - 1)) * float32(2.0**-REST_BITS)
    return table[cell] + rest * (table[cell + uint64(1)] - table[cell])


@numba.njit(fastmath=True, inline="always")
def _clipped(value):
    return min(max(value, float32(-CLIP)), float32(CLIP))


@numba.njit(fastmath=True)
def _mixed(state):
    """Return 64 random bits of a number (the finalizer of SplitMix64)."""
    state = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> uint64(27))) * uint64(0x94D049BB133111EB)
    return state ^ (state >> uint64(31))


@numba.njit(parallel=True, fastmath=True)
def _move_block(
    position, moved, first, indptr, others, rate, pool, pull, push, step, epoch, seed
):
    """Write the new positions of every row of a block into `moved`.

    An edge lies in the rows of both its ends, and UMAP moves both ends each time: so
    each row moves twice along an edge, and is pushed away by five other rows. These
    push together, from where the row is then: a processor works on them side by side.
    """
    n = len(position)
    far_x, far_y, far_z = pool[0], pool[1], pool[2]
    for index in prange((n - first + BLOCKS - 1) // BLOCKS):
        row = first + index * BLOCKS
        x, y, z = position[row, 0], position[row, 1], position[row, 2]
        state = _mixed(_mixed(uint64(seed)) + uint64(epoch) * uint64(n) + uint64(row))
        far = int64(state >> uint64(64 - POOL_BITS))
        for edge in range(indptr[row], indptr[row + 1]):
            if int64((epoch + 1) * rate[edge]) <= int64(epoch * rate[edge]):
                continue
            other = position[others[edge]]
            for _ in range(2):
                dx, dy, dz = x - other[0], y - other[1], z - other[2]
                force = _force(pull, dx * dx + dy * dy + dz * dz)
                x -= step * _clipped(force * dx)
                y -= step * _clipped(force * dy)
                z -= step * _clipped(force * dz)
            if far + PUSHES > 2**POOL_BITS:
                far = 0
            sum_x, sum_y, sum_z = float32(0), float32(0), float32(0)
            for drawn in range(far, far + PUSHES):
                dx, dy, dz = x - far_x[drawn], y - far_y[drawn], z - far_z[drawn]
                force = _force(push, dx * dx + dy * dy + dz * dz)
                sum_x += _clipped(force * dx)
                sum_y += _clipped(force * dy)
                sum_z += _clipped(force * dz)
            x += step * sum_x
            y += step * sum_y
            z += step * sum_z
            far += PUSHES
        moved[index, 0], moved[index, 1], moved[index, 2] = x, y, z
