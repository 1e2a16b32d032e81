"""Neighbours, edges and pairs of edges of periodic crystals, compiled with numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offmap.representations.matminer.compiled import ZERO, Floats, Ints, compiled
from offmap.representations.matminer.lattice import invert
from offmap.representations.matminer.neighbors import gather

Singles = NDArray[np.float32]

_FLATNESS = 1e-8

OVERLAP, NO_VOLUME, TOO_MANY = 1, 2, 3
"""Why a crystal has no graph."""

_MOST_NEIGHBOURS = 1 << 20


@compiled
def _longer(vectors: Floats, labels: Ints) -> tuple[Floats, Ints]:
    """The same arrays with room for twice as many rows."""
    n = len(vectors)
    more_vectors, more_labels = np.empty((2 * n, 4)), np.empty((2 * n, 2), np.int64)
    for row in range(n):
        for column in range(4):
            more_vectors[row, column] = vectors[row, column]
        more_labels[row, 0], more_labels[row, 1] = labels[row, 0], labels[row, 1]
    return more_vectors, more_labels


@compiled
def _with_room(ends: Ints, arrows: Singles, n_edges: int, room: int) -> tuple[Ints, Singles]:
    """The edges so far in longer arrays."""
    more_ends, more_arrows = np.empty((room, 2), np.int32), np.empty((room, 3), np.float32)
    for edge in range(n_edges):
        for end in range(2):
            more_ends[edge, end] = ends[edge, end]
        for axis in range(3):
            more_arrows[edge, axis] = arrows[edge, axis]
    return more_ends, more_arrows


@compiled
def _length(x: float, y: float, z: float) -> float:
    length: float = np.sqrt(x * x + y * y + z * z)
    return length


@compiled
def _around(
    lattice: Floats,
    reach: Floats,
    frac_coords: Floats,
    i: int,
    k: int,
    radius: float,
    tolerance: float,
    vectors: Floats,
    labels: Ints,
    first: int,
) -> tuple[int, float, float, Floats, Ints]:
    """Neighbours of one site from row ``first`` on, the ones that count in front.

    Those within ``radius`` if ``k`` is 0; else the nearest ``k`` and all as far as the last of
    them, give or take ``tolerance`` (angstrom). ``radius`` is then where the search begins.

    Returns
    -------
    tuple
        Row after the last that counts (-1: atoms overlap; -2: too many), the square of the
        distance up to which neighbours count, the radius that was searched, and the arrays.
    """
    inner, outer, n, limit = -1.0, radius, first, 0.0
    while True:
        found = gather(lattice, reach, frac_coords, i, inner, outer, vectors, labels, n)
        if found < 0:
            return -1, 0.0, outer, vectors, labels
        if found - first > _MOST_NEIGHBOURS:
            return -2, 0.0, outer, vectors, labels
        if found > len(vectors):
            vectors, labels = _longer(vectors, labels)
            continue
        n = found
        if k == 0:
            return n, outer * outer, outer, vectors, labels
        if n - first >= k:
            limit = np.sqrt(_kth(vectors, first, n, k)) + tolerance
            if limit <= outer:
                break
            inner, outer = outer, limit * (1 + 1e-9)
        else:
            inner, outer = outer, outer * 1.3
    limit *= limit
    last = first
    for row in range(first, n):
        if vectors[row, 3] <= limit:
            for column in range(4):
                vectors[last, column] = vectors[row, column]
            labels[last, 0] = labels[row, 0]
            last += 1
    return last, limit, outer, vectors, labels


@compiled
def _kth(vectors: Floats, first: int, last: int, k: int) -> float:
    """The ``k``-th smallest squared distance of some rows: the root of a heap of ``k``."""
    heap = np.empty(k)
    for row in range(first, first + k):
        at = row - first
        value = vectors[row, 3]
        while at > 0 and heap[(at - 1) // 2] < value:
            heap[at] = heap[(at - 1) // 2]
            at = (at - 1) // 2
        heap[at] = value
    for row in range(first + k, last):
        value = vectors[row, 3]
        if value >= heap[0]:
            continue
        at, child = 0, 1
        while child < k:
            if child + 1 < k and heap[child + 1] > heap[child]:
                child += 1
            if heap[child] <= value:
                break
            heap[at] = heap[child]
            at = child
            child = 2 * at + 1
        heap[at] = value
    smallest: float = heap[0]
    return smallest


@compiled
def edges_of_all(
    lattices: Floats,
    frac_coords: Floats,
    offsets: Ints,
    k: int,
    radius: float,
    tolerance: float,
) -> tuple[Ints, Singles, Ints, Ints]:
    """Edges of many crystals.

    Parameters
    ----------
    lattices, frac_coords, offsets
        As in :class:`offmap.crystals.Crystals`.
    k, radius, tolerance
        ``k`` nearest neighbours (with all as far as the last), or all within ``radius`` if 0.

    Returns
    -------
    tuple
        Edges as (source, target), sites of their own crystal, shape (n_edges, 2), sorted by
        target; their vectors from source to target, angstrom, shape (n_edges, 3); where the edges
        of each crystal begin, shape (n + 1,); and why there are none, 0 if nothing is wrong.
    """
    n_crystals = len(lattices)
    ends, arrows = np.empty((1024, 2), np.int32), np.empty((1024, 3), np.float32)
    starts, status = np.zeros(n_crystals + 1, np.int64), np.zeros(n_crystals, np.int8)
    vectors, labels = np.empty((256, 4)), np.empty((256, 2), np.int64)
    inverse, reach = np.empty((3, 3)), np.empty(3)
    n_edges = ZERO
    for c in range(n_crystals):
        lattice, sites = lattices[c], frac_coords[offsets[c] : offsets[c + 1]]
        n = len(sites)
        volume, size = abs(invert(lattice, inverse)), 1.0
        for axis in range(3):
            size *= _length(lattice[axis, 0], lattice[axis, 1], lattice[axis, 2])
            reach[axis] = _length(inverse[0, axis], inverse[1, axis], inverse[2, axis])
        if n == 0 or not volume > _FLATNESS * size:
            status[c] = NO_VOLUME
            starts[c + 1] = n_edges
            continue
        begin = radius
        if k > 0:  # a sphere that holds about twice as many
            begin = (2.0 * (k + 3) * volume / n * 3 / (4 * np.pi)) ** (1 / 3)
        rows, limits = np.zeros(n + 1, np.int64), np.empty(n)
        for i in range(n):
            last, limits[i], _, vectors, labels = _around(
                lattice, reach, sites, i, k, begin, tolerance, vectors, labels, rows[i]
            )
            if last < 0:
                status[c] = OVERLAP if last == -1 else TOO_MANY
                break
            rows[i + 1] = last
        if status[c]:
            starts[c + 1] = n_edges
            continue
        most = n_edges + 2 * rows[n]
        if most > len(ends):
            ends, arrows = _with_room(ends, arrows, n_edges, max(most, 2 * len(ends)))
        n_edges = _write_edges(vectors, labels, rows, limits, ends, arrows, n_edges)
        starts[c + 1] = n_edges
    return ends[:n_edges], arrows[:n_edges], starts, status


@compiled
def _write_edges(
    vectors: Floats,
    labels: Ints,
    rows: Ints,
    limits: Floats,
    ends: Ints,
    arrows: Singles,
    n_edges: int,
) -> int:
    """Write each edge of one crystal in both directions, sorted by target; the new number of edges.

    A neighbour that does not count the site among its own neighbours gets the way back too.
    """
    n = len(limits)
    place = np.zeros(n + 1, np.int64)
    written = ZERO
    for write in range(2):
        for i in range(n):
            for row in range(rows[i], rows[i + 1]):
                j = labels[row, 0]
                # seen from i and from j the same edge has the same length to the last bit
                alone = j != i and vectors[row, 3] > limits[j]
                if write:
                    at = n_edges + place[j]
                    ends[at, 0], ends[at, 1] = i, j
                    for axis in range(3):
                        arrows[at, axis] = vectors[row, axis]
                    place[j] += 1
                else:
                    place[j + 1] += 1
                if alone and write:
                    at = n_edges + place[i]
                    ends[at, 0], ends[at, 1] = j, i
                    for axis in range(3):
                        arrows[at, axis] = -vectors[row, axis]
                    place[i] += 1
                elif alone:
                    place[i + 1] += 1
        if not write:
            for i in range(n):
                place[i + 1] += place[i]
            written = int(place[n])
    return n_edges + written


@compiled
def pairs_of_edges(
    source: Ints, target: Ints, vectors: Singles, n_atoms: int
) -> tuple[Ints, Ints, Singles, Ints]:
    """Every pair of edges that follow each other, a -> b -> c, and the angle between them.

    Parameters
    ----------
    source, target, vectors
        Edges sorted by target; their vectors, shape (n_edges, 3).
    n_atoms
        Number of atoms.

    Returns
    -------
    tuple
        First edge and second edge of each pair, sorted by the second, shape (n_pairs,); cosine of
        the angle at b between the directions to a and to c; and where the pairs of each second
        edge begin, shape (n_edges + 1,).
    """
    n_edges = len(source)
    incoming = np.zeros(n_atoms + 1, np.int64)
    for edge in range(n_edges):
        incoming[target[edge] + 1] += 1
    for atom in range(n_atoms):
        incoming[atom + 1] += incoming[atom]
    starts = np.zeros(n_edges + 1, np.int64)
    directions = np.empty((n_edges, 3), np.float32)
    for edge in range(n_edges):
        x, y, z = vectors[edge, 0], vectors[edge, 1], vectors[edge, 2]
        length = np.sqrt(x * x + y * y + z * z)
        directions[edge, 0], directions[edge, 1] = x / length, y / length
        directions[edge, 2] = z / length
        atom = source[edge]
        starts[edge + 1] = starts[edge] + incoming[atom + 1] - incoming[atom]
    first, second = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    cosine = np.empty(starts[-1], np.float32)
    for edge in range(n_edges):
        begin = starts[edge] - incoming[source[edge]]
        x, y, z = directions[edge, 0], directions[edge, 1], directions[edge, 2]
        for before in range(incoming[source[edge]], incoming[source[edge] + 1]):
            at = begin + before
            first[at] = before
            second[at] = edge
            c = -(x * directions[before, 0] + y * directions[before, 1] + z * directions[before, 2])
            cosine[at] = min(max(c, np.float32(-1)), np.float32(1))
    return first, second, cosine, starts


@compiled
def blocks_of_pairs(
    source: Ints, target: Ints, vectors: Singles, n_atoms: int
) -> tuple[Ints, Ints, Ints, Ints, Singles]:
    """Pairs of edges as one square block per atom; see :class:`offmap.models.alignn.batch.Blocks`.

    Parameters
    ----------
    source, target, vectors
        Edges sorted by target, each there in both directions; their vectors, shape (n_edges, 3).
    n_atoms
        Number of atoms.

    Returns
    -------
    tuple
        Atoms in order of their number of edges, shape (n_atoms,); that number, in the same order;
        incoming edges of each atom in that order, shape (n_edges,); outgoing ones likewise; and
        the cosines of each atom's block, row by row: outgoing edge, then incoming edge.
    """
    n_edges = len(source)
    incoming, outgoing = np.zeros(n_atoms + 1, np.int64), np.zeros(n_atoms + 1, np.int64)
    for edge in range(n_edges):
        incoming[target[edge] + 1] += 1
        outgoing[source[edge] + 1] += 1
    most, n_pairs = ZERO, ZERO
    for atom in range(n_atoms):
        most = max(most, incoming[atom + 1])
        n_pairs += incoming[atom + 1] * outgoing[atom + 1]
    rank = np.zeros(most + 2, np.int64)
    for atom in range(n_atoms):
        rank[incoming[atom + 1] + 1] += 1
        incoming[atom + 1] += incoming[atom]
        outgoing[atom + 1] += outgoing[atom]
    for degree in range(most + 1):
        rank[degree + 1] += rank[degree]
    leaving, filled = np.empty(n_edges, np.int64), np.zeros(n_atoms, np.int64)
    directions = np.empty((n_edges, 3), np.float32)
    for edge in range(n_edges):
        atom = source[edge]
        leaving[outgoing[atom] + filled[atom]] = edge
        filled[atom] += 1
        x, y, z = vectors[edge, 0], vectors[edge, 1], vectors[edge, 2]
        length = np.sqrt(x * x + y * y + z * z)
        directions[edge, 0], directions[edge, 1] = x / length, y / length
        directions[edge, 2] = z / length
    atoms, degrees = np.empty(n_atoms, np.int64), np.empty(n_atoms, np.int64)
    for atom in range(n_atoms):
        degree = incoming[atom + 1] - incoming[atom]
        atoms[rank[degree]], degrees[rank[degree]] = atom, degree
        rank[degree] += 1
    come, go = np.empty(n_edges, np.int64), np.empty(n_edges, np.int64)
    cosine = np.empty(n_pairs, np.float32)
    edge_at, pair_at = ZERO, ZERO
    for place in range(n_atoms):
        atom, degree = atoms[place], degrees[place]
        for k in range(degree):
            come[edge_at + k] = incoming[atom] + k
            go[edge_at + k] = leaving[outgoing[atom] + k]
        for k in range(degree):
            out = go[edge_at + k]
            x, y, z = directions[out, 0], directions[out, 1], directions[out, 2]
            for j in range(degree):
                into = come[edge_at + j]
                c = -(x * directions[into, 0] + y * directions[into, 1] + z * directions[into, 2])
                cosine[pair_at] = min(max(c, np.float32(-1)), np.float32(1))
                pair_at += 1
        edge_at += degree
    return atoms, degrees, come, go, cosine
