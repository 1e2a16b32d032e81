"""The tessellation: against another, in difficult cells, and under what changes nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from offmap.crystals import Crystal, Crystals
from offmap.representations.matminer import Matminer
from tests.representations.matminer_cases import (
    CENTRE,
    CUBE,
    FCC,
    HEXAGONAL,
    ORIGIN,
    cases,
    make,
    random_crystal,
)

HONEYCOMB = [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]
SMALL_ANGLE = np.radians(10)


def described(*crystals: Crystal) -> NDArray[np.float64]:
    features = Matminer().featurize(Crystals.from_list(crystals))
    assert features.reasons == {}
    assert np.isfinite(features.values).all()
    return features.values


def faces_of(crystal: Crystal) -> list[NDArray[np.float64]]:
    """Distance and area of the faces of each site, sorted; faces without area left out."""
    from offmap.representations.matminer.lattice import prepare
    from offmap.representations.matminer.voronoi import OK, tessellate

    lattice, coords, volume = prepare(crystal.lattice, crystal.frac_coords)
    status, starts, _, sizes = tessellate(lattice, coords, volume)
    assert status == OK
    filled = (sizes[: starts[-1], 0] * sizes[: starts[-1], 1]).sum() / 6
    assert filled == pytest.approx(volume, rel=1e-9)
    return [tidy(sizes[a:b, ::-1]) for a, b in pairwise(starts)]


def faces_by_qhull(crystal: Crystal) -> list[NDArray[np.float64]]:
    """The same from scipy (Qhull) on a large explicit cloud of images."""
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), -1).reshape(-1, 3)
    images = images[np.argsort(np.abs(images).sum(axis=1), kind="stable")]
    cloud = ((crystal.frac_coords % 1)[None] + images[:, None]).reshape(-1, 3) @ crystal.lattice
    voronoi = Voronoi(cloud)
    n = len(crystal.numbers)
    faces: list[list[tuple[float, float]]] = [[] for _ in range(n)]
    for (a, b), corners in zip(voronoi.ridge_points, voronoi.ridge_vertices, strict=True):
        for site in (a, b):
            if site < n:
                assert -1 not in corners
                arms = voronoi.vertices[corners[1:]] - voronoi.vertices[corners[0]]
                area = 0.5 * np.linalg.norm(np.cross(arms[:-1], arms[1:]).sum(axis=0))
                faces[site].append((np.linalg.norm(cloud[a] - cloud[b]), float(area)))
    return [tidy(np.array(f)) for f in faces]


def tidy(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    faces = faces[faces[:, 1] > 1e-7]
    return faces[np.lexsort(np.round(faces, 6).T)]


@pytest.mark.parametrize("k", range(0, 40, 3))
def test_faces_agree_with_qhull(k: int) -> None:
    crystal = cases().crystal(k)
    for found, expected in zip(faces_of(crystal), faces_by_qhull(crystal), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


DIFFICULT = {
    "layer in 30 angstrom of vacuum": make("", HEXAGONAL * [[2.5], [2.5], [30]], "B N", HONEYCOMB),
    "layer in 150 angstrom of vacuum": make(
        "", HEXAGONAL * [[2.5], [2.5], [150]], "C C", HONEYCOMB
    ),
    "chain": make("", CUBE * [[25], [30], [2.6]], "C H", [ORIGIN, [0.03, 0, 0.4]]),
    "lone atom": make("", CUBE * 40, "He", ORIGIN),
    "lone molecule": make("", CUBE * 20, "N N", [ORIGIN, [0.055, 0, 0]]),
    "angles of ten degrees": make(
        "",
        [
            [4, 0, 0],
            [4 * np.cos(SMALL_ANGLE), 4 * np.sin(SMALL_ANGLE), 0],
            [4 * np.cos(SMALL_ANGLE), 0.35, 0.6],
        ],
        "Li",
        ORIGIN,
    ),
    "0.5 cubic angstrom per atom": make("", CUBE, "H H", [ORIGIN, CENTRE]),
    "500 cubic angstrom per atom": make("", CUBE * 10, "Cs I", [ORIGIN, CENTRE]),
    "512 sites": make(
        "",
        CUBE * 24,
        "Fe " * 512,
        np.stack(np.meshgrid(*[np.arange(8) / 8] * 3), -1).reshape(-1, 3),
    ),
    "far-away coordinates": make("", FCC * 5.64, "Na Cl", [ORIGIN, [1e4 + 0.5, -2999.5, 0.5]]),
    "left-handed cell": make("", FCC[::-1] * 5.64, "Na Cl", [ORIGIN, CENTRE]),
}


@pytest.mark.parametrize("name", DIFFICULT)
def test_difficult_cells(name: str) -> None:
    described(DIFFICULT[name])
    faces_of(DIFFICULT[name])


def test_values_known_by_hand() -> None:
    columns = Matminer.columns
    simple, faced, salt = described(
        make("", CUBE * 3, "Po", ORIGIN),
        make("", FCC * 4, "Cu", ORIGIN),
        make("", FCC * 5.64, "Na Cl", [ORIGIN, CENTRE]),
    )
    coordination = columns.index("mean CN_VoronoiNN")
    packing = columns.index("max packing efficiency")
    assert simple[coordination] == pytest.approx(6)
    assert faced[coordination] == pytest.approx(12)
    assert simple[packing] == pytest.approx(np.pi / 6)
    assert faced[packing] == pytest.approx(np.pi / np.sqrt(18))
    # Every neighbour of Na is Cl: |1 - 1/0.5| and |1 - 0/0.5|.
    assert salt[columns.index("mean ordering parameter shell 1")] == pytest.approx(1)
    assert salt[columns.index("mean local difference in Number")] == pytest.approx(6)


@pytest.mark.parametrize("volume", [0.5, 5, 500])
def test_descriptors_have_no_length_scale(volume: float) -> None:
    crystal = random_crystal(5, 4, "Li O P")
    scale = (volume / 16) ** (1 / 3)
    values = described(crystal, crystal._replace(lattice=crystal.lattice * scale))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-6, atol=1e-8)


def unimodular(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """A whole-number matrix of determinant 1 that skews a cell badly."""
    upper = np.triu(rng.integers(-size, size + 1, (3, 3)), 1) + np.eye(3)
    lower = np.tril(rng.integers(-1, 2, (3, 3)), -1) + np.eye(3)
    return upper @ lower


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q


def shifted(c: Crystal, rng: np.random.Generator) -> Crystal:
    return c._replace(frac_coords=c.frac_coords + rng.normal(size=3) * 3)


def other_basis(c: Crystal, rng: np.random.Generator) -> Crystal:
    change = unimodular(rng, 6)
    coords = c.frac_coords @ np.linalg.inv(change)
    return c._replace(lattice=change @ c.lattice, frac_coords=coords)


def supercell(c: Crystal, rng: np.random.Generator) -> Crystal:
    repeats = rng.permutation([1, 2, int(rng.integers(1, 3))])
    cells = np.stack(np.meshgrid(*[np.arange(r) for r in repeats]), -1).reshape(-1, 3)
    coords = (c.frac_coords[:, None] + cells).reshape(-1, 3) / repeats
    numbers = np.repeat(c.numbers, len(cells))
    return Crystal(c.material_id, c.lattice * repeats[:, None], numbers, coords)


def permuted(c: Crystal, rng: np.random.Generator) -> Crystal:
    order = rng.permutation(len(c.numbers))
    return c._replace(numbers=c.numbers[order], frac_coords=c.frac_coords[order])


def rotated(c: Crystal, rng: np.random.Generator) -> Crystal:
    return c._replace(lattice=c.lattice @ rotation(rng))


CHANGES = [shifted, other_basis, supercell, permuted, rotated]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), n_sites=st.integers(1, 6))
def test_descriptors_do_not_change(change: object, seed: int, n_sites: int) -> None:
    crystal = random_crystal(seed, n_sites, "Li Fe O F")
    before, after = described(crystal, change(crystal, np.random.default_rng(seed)))  # type: ignore[operator]
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_symmetric_crystals_do_not_change(change: object) -> None:
    crystals = list(cases())[:25]
    moved = [change(c, np.random.default_rng(k)) for k, c in enumerate(crystals)]  # type: ignore[operator]
    np.testing.assert_allclose(described(*moved), described(*crystals), rtol=1e-6, atol=1e-7)
