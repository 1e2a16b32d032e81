"""The 273 descriptors against stored and live values of matminer, and what does not go."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from offmap.crystals import Crystal, Crystals
from offmap.representations.matminer import Magpie, Matminer
from offmap.representations.matminer.columns import COMPOSITION, STRUCTURE
from tests.conftest import REAL_DATA
from tests.representations.matminer_cases import (
    FCC,
    ORIGIN,
    REFERENCE,
    cases,
    make,
    matminer_values,
)

N_STRUCTURE = 128


def residual(found: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative difference, or the absolute one where that is smaller."""
    difference = np.abs(found - expected)
    return np.minimum(difference, difference / np.maximum(np.abs(expected), 1e-300))


def assert_agrees(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    structure, composition = np.split(residual(found, expected), [N_STRUCTURE], axis=1)
    assert composition.max() < 1e-9
    assert structure.max() < 1e-6


def test_columns_are_those_of_the_study() -> None:
    assert len(STRUCTURE) == N_STRUCTURE
    assert len(COMPOSITION) == 145
    assert Matminer.columns == STRUCTURE + COMPOSITION
    assert len(set(Matminer.columns)) == 273
    assert len(Matminer.blocks["local_property_difference"]) == 110
    assert Magpie.columns == COMPOSITION


def test_stored_values_of_matminer() -> None:
    crystals = cases()
    stored = pd.read_parquet(REFERENCE).set_index("descriptor")
    assert tuple(stored.index) == Matminer.columns
    assert list(stored.columns) == list(crystals.material_id)
    features = Matminer().featurize(crystals)
    assert features.reasons == {}
    assert_agrees(features.values, stored.to_numpy().T)


def test_live_values_of_matminer() -> None:
    crystals = cases().take(np.array([6, 8, 26]))
    names, expected = matminer_values(crystals)
    assert names == Matminer.columns
    assert_agrees(Matminer().featurize(crystals).values, expected)


def real_crystals(n: int, most_sites: int, seed: int) -> Crystals:
    """Some of the Materials Project crystals kept beside the repository."""
    import json

    from offmap.elements import NUMBERS

    path = REAL_DATA / "mp2018.parquet"
    if not path.exists():
        pytest.skip("no real data beside the repository (shared/data/mp2018.parquet)")
    frame = pd.read_parquet(path, columns=["material_id", "structure"])
    frame = frame.sample(4 * n, random_state=seed)
    items = []
    for material_id, text in zip(frame["material_id"], frame["structure"], strict=True):
        entry = json.loads(text)
        numbers = np.array([NUMBERS[s] for s in entry["species"]], np.uint8)
        coords = np.array(entry["frac_coords"], float)
        items.append(Crystal(material_id, np.array(entry["lattice"], float), numbers, coords))
    return Crystals.from_list([c for c in items if len(c.numbers) <= most_sites][:n])


def by_matminer(crystals: Crystals) -> tuple[np.ndarray, np.ndarray]:
    """Values of matminer, and the rows that it can describe: it fails where a vertex is far off."""
    rows, values = [], []
    for i in range(len(crystals)):
        try:
            values.append(matminer_values(crystals.take(np.array([i])))[1][0])
        except RuntimeError as error:
            if "infinite vertex" not in str(error):
                raise
        else:
            rows.append(i)
    return np.array(rows), np.stack(values)


def test_real_crystals_are_all_described() -> None:
    features = Matminer().featurize(real_crystals(300, 1000, seed=0))
    assert features.reasons == {}
    assert np.isfinite(features.values).all()


def test_real_crystals_agree_with_matminer() -> None:
    crystals = real_crystals(12, 8, seed=1)
    assert_agrees(Matminer().featurize(crystals).values, matminer_values(crystals)[1])


@pytest.mark.slow
def test_300_real_crystals_agree_with_matminer() -> None:
    crystals = real_crystals(300, 1000, seed=2)
    rows, expected = by_matminer(crystals)
    assert len(rows) >= 297
    found = Matminer().featurize(crystals.take(rows)).values
    structure, composition = np.split(residual(found, expected), [N_STRUCTURE], axis=1)
    assert composition.max() < 1e-9
    difference = np.abs(found - expected)[:, :N_STRUCTURE]
    assert ((structure <= 1e-4) | (difference <= 1e-6)).mean() >= 0.995


def test_batches_and_order_do_not_matter() -> None:
    crystals = cases()
    whole = Matminer().featurize(crystals).values
    rows = np.arange(len(crystals))
    halves = [Matminer().featurize(crystals.take(part)).values for part in np.split(rows, [13])]
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    np.testing.assert_array_equal(
        Matminer().featurize(crystals.take(rows[::-1])).values, whole[::-1]
    )


def test_no_crystals() -> None:
    assert Matminer().featurize(Crystals.from_list([])).values.shape == (0, 273)
    assert Magpie().featurize(Crystals.from_list([])).values.shape == (0, 145)


def test_magpie_is_the_composition_part() -> None:
    crystals = cases()
    formulas = Crystals.from_formulas(list(crystals.formula), list(crystals.material_id))
    expected = Matminer().featurize(crystals).values[:, N_STRUCTURE:]
    np.testing.assert_array_equal(Magpie().featurize(crystals).values, expected)
    np.testing.assert_allclose(
        Magpie().featurize(formulas).values, expected, rtol=1e-12, atol=1e-12
    )


BAD = {
    "overlap": (make("", FCC * 4, "Na Cl", [ORIGIN, [1, 0, 1.0001]]), "overlap"),
    "the same atom twice": (make("", FCC * 4, "Na Na", [ORIGIN, ORIGIN]), "overlap"),
    "flat cell": (make("", [[3, 0, 0], [0, 3, 0], [3, 3, 0]], "Na", ORIGIN), "no volume"),
    "zero cell": (make("", np.zeros((3, 3)), "Na", ORIGIN), "no volume"),
    "no lattice": (make("", np.full((3, 3), np.nan), "Na", ORIGIN), "no structure"),
    "infinite position": (make("", FCC * 4, "Na", [np.inf, 0, 0]), "no structure"),
    "no atoms": (make("", FCC * 4, "", []), "no atoms"),
    "no element": (Crystal("", FCC * 4, np.zeros(1, np.uint8), np.zeros((1, 3))), "no element"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_described_is_set_aside(name: str) -> None:
    crystal, reason = BAD[name]
    good = make("good", FCC * 5.64, "Na Cl", [ORIGIN, [0.5] * 3])
    features = Matminer().featurize(Crystals.from_list([good, crystal, good]))
    assert list(features.reasons) == [1]
    assert reason in features.reasons[1]
    assert np.isnan(features.values[1]).all()
    assert np.isfinite(features.values[[0, 2]]).all()


def test_import_is_light() -> None:
    heavy = "{'numba', 'pandas', 'pymatgen', 'scipy', 'pyarrow'}"
    code = f"import offmap.representations.matminer, sys; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
