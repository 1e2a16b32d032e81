"""A convex polyhedron around the origin and the cut that makes it smaller, compiled with numba.

A Voronoi cell starts as a cube and is cut by one plane per neighbour, nearest neighbour first
(the idea of voro++; C. H. Rycroft, Chaos 19, 041111, 2009). The polyhedron is a set of shared
vertices and, for each face, the loop of its vertices. Everything is double precision, and vertices
within a tolerance of a plane count as lying on it, so that the many degenerate vertices of real
crystals (more than three faces meet in fcc, bcc, rock salt...) give no needle faces.

Arrays: ``vertices`` (3, MAX_VERTICES); ``loops`` (MAX_FACES, MAX_LOOP) the vertices of each face in
order; ``loop_sizes`` (MAX_FACES,), 0 for a place without a face. Removed vertices are put at the
origin, where no plane reaches them, and their places listed in ``free``. ``counts`` holds the
numbers of vertices, faces and free places.
"""

from __future__ import annotations

import numpy as np

from offmap.representations.matminer.compiled import ZERO, Floats, Ints, compiled

MAX_VERTICES = 2048
MAX_FACES = 512
MAX_LOOP = 256

UNCUT = -1
FULL = -2


@compiled
def make_cube(
    half_width: float, vertices: Floats, loops: Ints, loop_sizes: Ints, counts: Ints
) -> None:
    """Fill the arrays with a cube around the origin."""
    for v in range(8):
        for axis in range(3):
            vertices[axis, v] = half_width if v & (1 << axis) else -half_width
    for face in range(6):
        axis = face // 2
        first, second = 1 << ((axis + 1) % 3), 1 << ((axis + 2) % 3)
        start = (face % 2) << axis
        loops[face, 0] = start
        loops[face, 1] = start | first
        loops[face, 2] = start | first | second
        loops[face, 3] = start | second
        loop_sizes[face] = 4
    counts[0] = 8
    counts[1] = 6
    counts[2] = 0


@compiled
def _edge_vertex(
    a: int,
    b: int,
    vertices: Floats,
    heights: Floats,
    free: Ints,
    counts: Ints,
    edges: Ints,
    n_edges: int,
) -> int:
    """Make the vertex where the edge ``a``-``b`` meets the plane; returns its place."""
    vertex: int
    if counts[2] > 0:
        counts[2] -= 1
        vertex = free[counts[2]]
    else:
        vertex = counts[0]
        counts[0] += 1
    t = heights[a] / (heights[a] - heights[b])
    for axis in range(3):
        x = vertices[axis, a]
        vertices[axis, vertex] = x + t * (vertices[axis, b] - x)
    edges[0, n_edges] = a
    edges[1, n_edges] = b
    edges[2, n_edges] = vertex
    return vertex


@compiled
def _sort_around(
    cap: Ints, n_cap: int, vertices: Floats, nx: float, ny: float, nz: float, angles: Floats
) -> None:
    """Order the vertices of a new face around its centre."""
    if abs(nx) < 0.6:
        ux, uy, uz = 0.0, nz, -ny
    else:
        ux, uy, uz = -nz, 0.0, nx
    vx, vy, vz = ny * uz - nz * uy, nz * ux - nx * uz, nx * uy - ny * ux
    cx = cy = cz = 0.0
    for k in range(n_cap):
        cx += vertices[0, cap[k]] / n_cap
        cy += vertices[1, cap[k]] / n_cap
        cz += vertices[2, cap[k]] / n_cap
    for k in range(n_cap):
        label = cap[k]
        x, y, z = vertices[0, label] - cx, vertices[1, label] - cy, vertices[2, label] - cz
        p, q = x * ux + y * uy + z * uz, x * vx + y * vy + z * vz
        # A number that grows with the angle and needs no arctangent.
        size = abs(p) + abs(q)
        t = q / size if size > 0.0 else 0.0
        angle = 2.0 - t if p < 0.0 else (4.0 + t if q < 0.0 else t)
        at = k
        while at > 0 and angles[at - 1] > angle:
            angles[at] = angles[at - 1]
            cap[at] = cap[at - 1]
            at -= 1
        angles[at] = angle
        cap[at] = label


@compiled
def cut(
    nx: float,
    ny: float,
    nz: float,
    height: float,
    tolerance: float,
    vertices: Floats,
    loops: Ints,
    loop_sizes: Ints,
    counts: Ints,
    free: Ints,
    heights: Floats,
    work: Ints,
) -> int:
    """Cut off what lies beyond the plane ``x . n = height``.

    Parameters
    ----------
    nx, ny, nz, height
        Unit normal of the plane and its distance from the origin.
    tolerance
        Vertices this close to the plane lie on it.
    vertices, loops, loop_sizes, counts, free
        The polyhedron, changed in place.
    heights, work
        Work arrays, shapes (MAX_VERTICES,) and (5, MAX_LOOP).

    Returns
    -------
    int
        Place of the new face; ``UNCUT`` if the plane does not cut, ``FULL`` if an array is too
        small.
    """
    n_beyond = 0
    n_old = counts[0]
    for v in range(n_old):
        h = vertices[0, v] * nx + vertices[1, v] * ny + vertices[2, v] * nz - height
        heights[v] = h
        n_beyond += h > tolerance
    if n_beyond == 0:
        return UNCUT

    edges, loop, cap = work[:3], work[3], work[4]
    n_edges = ZERO
    n_cap = ZERO
    place: int = counts[1]
    for f in range(counts[1]):
        size = loop_sizes[f]
        n_out = 0
        n_in = 0
        for k in range(size):
            h = heights[loops[f, k]]
            n_out += h > tolerance
            n_in += h < -tolerance
        if n_out == 0:
            if size == 0:
                place = f
            continue
        # Every vertex of the old loop gives at most two of the new one.
        if 2 * size >= MAX_LOOP or n_cap + 2 * size >= MAX_LOOP or counts[0] + size >= MAX_VERTICES:
            return FULL
        n_loop = 0
        current = loops[f, size - 1]
        for k in range(size):
            following = loops[f, k]
            h, h_next = heights[current], heights[following]
            if (h > tolerance and h_next < -tolerance) or (h < -tolerance and h_next > tolerance):
                low, high = min(current, following), max(current, following)
                vertex = -1
                for e in range(n_edges):
                    if edges[0, e] == low and edges[1, e] == high:
                        vertex = edges[2, e]
                        break
                if vertex < 0:
                    vertex = _edge_vertex(
                        low, high, vertices, heights, free, counts, edges, n_edges
                    )
                    n_edges += 1
                    cap[n_cap] = vertex
                    n_cap += 1
                loop[n_loop] = vertex
                n_loop += 1
            if h_next <= tolerance:
                loop[n_loop] = following
                n_loop += 1
                if h_next >= -tolerance:
                    known = False
                    for c in range(n_cap):
                        known |= cap[c] == following
                    if not known:
                        cap[n_cap] = following
                        n_cap += 1
            current = following
        if n_in == 0 or n_loop < 3:
            loop_sizes[f] = 0
            place = f
        else:
            loop_sizes[f] = n_loop
            for k in range(n_loop):
                loops[f, k] = loop[k]
    for v in range(n_old):
        if heights[v] > tolerance:
            for axis in range(3):
                vertices[axis, v] = 0.0
            free[counts[2]] = v
            counts[2] += 1
    if n_cap < 3:
        return UNCUT
    if place == counts[1]:
        if place == MAX_FACES:
            return FULL
        counts[1] += 1
    _sort_around(cap, n_cap, vertices, nx, ny, nz, heights)
    loop_sizes[place] = n_cap
    for k in range(n_cap):
        loops[place, k] = cap[k]
    return place


@compiled
def largest_radius(vertices: Floats, n_vertices: int) -> float:
    """Distance of the farthest vertex from the origin."""
    largest = 0.0
    for v in range(n_vertices):
        x, y, z = vertices[0, v], vertices[1, v], vertices[2, v]
        largest = max(largest, x * x + y * y + z * z)
    return float(np.sqrt(largest))


@compiled
def face_area(vertices: Floats, loops: Ints, size: int, face: int) -> float:
    """Area of one face."""
    origin = loops[face, 0]
    ox, oy, oz = vertices[0, origin], vertices[1, origin], vertices[2, origin]
    ax = ay = az = 0.0
    px = py = pz = 0.0
    for k in range(1, size):
        v = loops[face, k]
        qx, qy, qz = vertices[0, v] - ox, vertices[1, v] - oy, vertices[2, v] - oz
        ax += py * qz - pz * qy
        ay += pz * qx - px * qz
        az += px * qy - py * qx
        px, py, pz = qx, qy, qz
    return 0.5 * float(np.sqrt(ax * ax + ay * ay + az * az))
