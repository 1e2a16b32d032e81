from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap.crystals import Crystal, Crystals
from offmap.datasets.screening import MIN_DISTANCE, overlapping, screen

from .conftest import rock_salt


def crystal(lattice, coords, numbers=None):
    coords = np.array(coords, float).reshape(-1, 3)
    numbers = np.full(len(coords), 14) if numbers is None else numbers
    return Crystal("x", np.array(lattice, float), np.array(numbers, np.uint8), coords)


def shortest(one: Crystal, reach: int = 3) -> float:
    """Smallest distance between two atoms, by looking at every image."""
    best = np.inf
    for image in product(range(-reach, reach + 1), repeat=3):
        difference = one.frac_coords[:, None] - one.frac_coords[None] + image
        distance = np.linalg.norm(difference @ one.lattice, axis=2)
        if image == (0, 0, 0):
            np.fill_diagonal(distance, np.inf)
        best = min(best, distance.min())
    return float(best)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.3, 2.5), st.booleans())
def test_overlaps_agree_with_every_image(seed, scale, skewed):
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(8):
        n = rng.integers(1, 9)
        lattice = np.diag(rng.uniform(0.8, 3, 3)) * scale
        if skewed:
            lattice += np.tril(rng.uniform(-1, 1, (3, 3)), -1) * scale
        items.append(crystal(lattice, np.round(rng.uniform(-1, 2, (n, 3)), 2)))
    found = overlapping(Crystals.from_list(items))
    expected = [shortest(item) < MIN_DISTANCE for item in items]
    assert found.tolist() == expected


def test_atoms_that_touch_across_the_boundary():
    near = crystal(5 * np.eye(3), [[0.01, 0, 0], [0.99, 0, 0]])
    same = crystal(5 * np.eye(3), [[0.2, 0.3, 0.4], [1.2, -0.7, 0.4]])
    apart = crystal(5 * np.eye(3), [[0.0, 0, 0], [0.1 + 1e-9, 0, 0]])
    assert overlapping(Crystals.from_list([near, same, apart])).tolist() == [True, True, False]


def test_an_atom_that_meets_its_own_image():
    assert overlapping(Crystals.from_list([crystal(np.diag([0.4, 9, 9]), [[0, 0, 0]])])).all()
    skewed = crystal([[4, 0, 0], [40.1, 4, 0], [0, 0, 4]], [[0, 0, 0]])
    assert not overlapping(Crystals.from_list([skewed])).any()


def test_nothing_to_check():
    assert overlapping(Crystals.from_list([])).tolist() == []
    assert screen(Crystals.from_list([])) == {}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (crystal(np.full((3, 3), np.nan), [[0, 0, 0]]), "not finite"),
        (crystal(np.diag([1, 1, np.inf]), [[0, 0, 0]]), "not finite"),
        (crystal(5 * np.eye(3), [[0, 0, np.nan]]), "not finite"),
        (crystal(5 * np.eye(3), [[0, 0, 0]], [0]), "unknown element"),
        (crystal([[1, 0, 0], [2, 0, 0], [0, 0, 1]], [[0, 0, 0]]), "no volume"),
        (crystal(np.zeros((3, 3)), [[0, 0, 0]]), "no volume"),
        (crystal(0.9 * np.eye(3), [[0, 0, 0]]), "below 1"),
        (crystal(50 * np.eye(3), [[0, 0, 0]]), "above 1000"),
        (crystal(1e200 * np.eye(3), [[0, 0, 0]]), "above 1000"),
        (crystal(5 * np.eye(3), [[0, 0, 0], [0, 0, 0.05]]), "closer than 0.5"),
        (crystal(60 * np.eye(3), np.zeros((100_001, 3))), "100,000 sites"),
    ],
)
def test_each_reason(bad, words):
    crystals = Crystals.from_list([rock_salt(), bad, rock_salt()])
    reasons = screen(crystals)
    assert list(reasons) == [1]
    assert words in reasons[1]


def test_dense_but_real_crystals_pass():
    diamond = crystal(
        3.567 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), [[0, 0, 0], [0.25] * 3], [6, 6]
    )
    hydrogen = crystal(3 * np.eye(3), [[0, 0, 0], [0, 0, 0.74 / 3]], [1, 1])
    assert screen(Crystals.from_list([diamond, hydrogen])) == {}
