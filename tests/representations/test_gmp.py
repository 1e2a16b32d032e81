"""Gaussian multipoles: closed forms, invariances, convergence, and the files of densities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite import hermgauss
from numpy.typing import NDArray

from offmap.crystals import Crystals
from offmap.datasets.base import Dataset
from offmap.errors import DataError, UnknownNameError
from offmap.representations.base import NO_STRUCTURE
from offmap.representations.gmp import GMP, NO_DENSITY, atom_features, cache
from offmap.representations.gmp.cache import multipoles
from offmap.representations.gmp.densities import densities, form_factors, read_gpsp
from offmap.representations.gmp.harmonics import solid_harmonics
from offmap.representations.gmp.probes import COLUMNS, NORMS, ORDERS, SIGMAS
from offmap.testing import check_representation

Array = NDArray[np.float64]
FAR = 60.0 * np.eye(3)


def crystal(lattice: Array, numbers: list[int], frac_coords: Array) -> Crystals:
    return Crystals(
        lattice=np.asarray(lattice, float)[None],
        numbers=np.array(numbers, np.uint8),
        frac_coords=np.asarray(frac_coords, float),
        offsets=np.array([0, len(numbers)]),
        material_id=np.array(["a"], dtype=object),
    )


@pytest.fixture(scope="module")
def spinel() -> Crystals:
    """Some crystal without symmetry."""
    rng = np.random.default_rng(3)
    lattice = np.array([[5.1, 0.2, 0.0], [1.0, 4.6, 0.3], [-0.7, 0.5, 5.9]])
    return crystal(lattice, [12, 13, 8, 8], rng.random((4, 3)))


def features(crystals: Crystals, tolerance: float = 1e-8) -> Array:
    values, reasons = atom_features(crystals, tolerance=tolerance)
    assert not reasons
    return values


def column(values: Array, order: int) -> Array:
    """All widths of one order."""
    return values[:, 1 + order * len(SIGMAS) : 1 + (order + 1) * len(SIGMAS)]


def test_201_numbers_as_published() -> None:
    assert len(COLUMNS) == 1 + 40 * 5
    assert SIGMAS[0] == pytest.approx(0.0375)
    assert SIGMAS[-1] == 1.5


def test_densities_hold_all_electrons_of_the_atom() -> None:
    found = form_factors()
    numbers = np.flatnonzero(found.known)
    assert numbers.tolist() == list(range(1, 99))
    np.testing.assert_allclose(found.electrons()[numbers], numbers, atol=0.06)


def test_harmonics_have_the_norm_of_their_order() -> None:
    x, y, z = 0.3, -1.1, 0.7
    out = np.empty(25)
    solid_harmonics(x, y, z, out)
    for order in ORDERS:
        part = out[order**2 : (order + 1) ** 2]
        assert (part**2).sum() == pytest.approx((x * x + y * y + z * z) ** order, rel=1e-13)


def test_a_lone_atom_has_a_closed_form() -> None:
    values = features(crystal(FAR, [26], np.zeros((1, 3))))
    found = form_factors()
    b, a = found.exponents[26][:, None], 0.5 / np.square(SIGMAS)[None, :]
    expected = (found.weights[26][:, None] * (a / (a + b)) ** 1.5).sum(axis=0)
    np.testing.assert_allclose(column(values, 0)[0], expected, rtol=1e-12)
    assert values[0, 0] == pytest.approx(found.weights[26].sum(), rel=1e-12)
    for order in ORDERS[1:]:
        np.testing.assert_allclose(column(values, order), 0.0, atol=1e-12)


def test_a_pair_agrees_with_numerical_integration() -> None:
    """Integrals of harmonic times probe times density by Gauss-Hermite quadrature, exact here."""
    distance, which = 1.7, 24
    values = features(crystal(FAR, [8, 3], np.array([[0.0, 0, 0], [0, 0, distance / 60]])))
    sigma, found = SIGMAS[which], form_factors()
    nodes, weights = hermgauss(12)
    a = 0.5 / sigma**2
    grid = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 3)
    weight = np.einsum("i,j,k->ijk", weights, weights, weights).ravel()
    moments = np.zeros(25)
    for number, z in ((8, 0.0), (3, distance)):
        for w, b in zip(found.weights[number], found.exponents[number], strict=True):
            # The product of both Gaussians, written as one around its own centre.
            centre, total = b / (a + b) * z, a + b
            points = grid / np.sqrt(total) + [0, 0, centre]
            scale = w * (a / np.pi) ** 1.5 * np.exp(-a * b / total * z * z) / total**1.5
            harmonics = np.empty((len(points), 25))
            for i, (x, y, height) in enumerate(points):
                solid_harmonics(x, y, height, harmonics[i])
            moments += scale * weight @ harmonics
    for order in ORDERS:
        expected = NORMS[order] * np.linalg.norm(moments[order**2 : (order + 1) ** 2])
        assert column(values, order)[0, which] == pytest.approx(expected, rel=1e-7, abs=1e-8)


def rotation(seed: int) -> Array:
    """Some rotation."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    turned: Array = q * np.sign(np.diag(r))
    return turned


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_no_rotation_changes_them(spinel: Crystals, seed: int) -> None:
    turned = crystal(
        spinel.lattice[0] @ rotation(seed).T, spinel.numbers.tolist(), spinel.frac_coords
    )
    np.testing.assert_allclose(features(turned), features(spinel), rtol=1e-10, atol=1e-10)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_nor_does_the_choice_of_cell_origin_or_order(spinel: Crystals, seed: int) -> None:
    rng = np.random.default_rng(seed)
    change = np.array([[1, rng.integers(-2, 3), 0], [0, 1, 0], [0, rng.integers(-2, 3), 1]])
    order = rng.permutation(4)
    lattice = change @ spinel.lattice[0]
    coords = (spinel.frac_coords + rng.random(3)) @ np.linalg.inv(change)
    other = crystal(lattice, spinel.numbers[order].tolist(), coords[order])
    np.testing.assert_allclose(features(other), features(spinel)[order], rtol=1e-6, atol=1e-6)


def test_a_supercell_repeats_them(spinel: Crystals) -> None:
    half = spinel.frac_coords / [2, 1, 1]
    doubled = crystal(
        np.diag([2, 1, 1]) @ spinel.lattice[0],
        [*spinel.numbers.tolist()] * 2,
        np.concatenate([half, half + np.array([0.5, 0, 0])]),
    )
    np.testing.assert_allclose(
        features(doubled), np.tile(features(spinel), (2, 1)), rtol=1e-6, atol=1e-6
    )


def test_they_converge_with_the_tolerance(spinel: Crystals) -> None:
    exact = features(spinel, 1e-14)
    errors = [np.abs(features(spinel, t) - exact).max() for t in (1e-2, 1e-5, 1e-8)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-5


def test_what_has_no_multipoles_says_why() -> None:
    heavy = crystal(5 * np.eye(3), [118], np.zeros((1, 3)))
    values, reasons = atom_features(heavy)
    assert reasons == {0: NO_DENSITY}
    assert np.isnan(values).all()
    assert np.isnan(GMP().featurize(heavy).values).all()
    salt = Crystals.from_formulas(["NaCl"], ["salt"])
    assert atom_features(salt)[1] == {0: NO_STRUCTURE}


def test_it_is_a_representation(toy_dataset: object) -> None:
    check_representation("gmp")


def test_files_of_densities(tmp_path: Path) -> None:
    path = tmp_path / "two.gpsp"
    path.write_text(
        "# made up\n! 2 elements\n****\nX\t0\t1\n0.0\t1.0\n****\nH\t1\t2\n0.5\t4.0\n0.1\t1.0\n"
        "****\nO\t8\t1\n3.0\t2.0\n****\n"
    )
    found = densities(str(path))
    assert np.flatnonzero(found.known).tolist() == [1, 8]
    assert found.weights[1].tolist() == [0.5, 0.1]
    assert found.electrons()[8] == pytest.approx(3 * (np.pi / 2) ** 1.5)


@pytest.mark.parametrize(
    "text", ["", "nothing", "****\nH\t1\t1\n0.5\n", "****\nH\t1\t1\n1.0\t-2.0\n"]
)
def test_other_files_are_errors(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gpsp"
    path.write_text(text)
    with pytest.raises(DataError, match=r"bad\.gpsp"):
        read_gpsp(path)


def test_unknown_densities_are_named() -> None:
    with pytest.raises(UnknownNameError, match="form_factors"):
        densities("form_factor")


def test_multipoles_come_back_from_the_cache(
    toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFMAP_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_ATOMS", 5)  # so that there are several files
    some = toy_dataset.crystals.take(np.array([0, 30, 8, 30, 61]))
    heavy = crystal(FAR, [100], np.zeros((1, 3)))
    first = multipoles(some)
    described: list[int] = []
    monkeypatch.setattr(
        cache, "atom_features", lambda c, density: described.append(len(c)) or atom_features(c)
    )
    order = np.array([61, 2, 8, 0])
    again = multipoles(toy_dataset.crystals.take(order))
    assert described == [1]  # only the one that was not there
    expected, _ = atom_features(toy_dataset.crystals.take(order))
    np.testing.assert_array_equal(again.values, expected.astype(np.float32))
    np.testing.assert_array_equal(
        first.values[first.rows(np.array([1]))],
        features(some.take(np.array([3]))).astype(np.float32),
    )
    for _ in range(2):
        assert multipoles(heavy).reasons == {0: NO_DENSITY}
    assert described == [1, 1]
    for file in tmp_path.rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:-100])
    np.testing.assert_array_equal(multipoles(toy_dataset.crystals.take(order)).values, again.values)
    assert sum(described) == 6
