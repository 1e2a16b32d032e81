"""Toy materials with planted truths, shared by all tests."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from offmap.crystals import Crystal, Crystals
from offmap.datasets.base import Card, Dataset, frame_of
from offmap.elements import ELECTRONEGATIVITY, NUMBERS

# The fits of the tests are small: on a busy machine, threads that wait for each other take longer
# than one, and far longer if they spin meanwhile. Read by OpenMP when it is first loaded, and by
# the engine that gives cells threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

_METALS = "Li Na K Rb Mg Ca Sr Ba Sc Y La Ti Zr V Nb Mn Fe Co Ni Cu Zn Al".split()
_ANIONS = "O S Se Te F Cl Br N P".split()
_ROCKSALT = (np.eye(3) * -0.5 + 0.5, [[0, 0, 0], [0.5, 0.5, 0.5]])
_CESIUM_CHLORIDE = (np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]])
_WURTZITE = (
    np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.633]]),
    [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.375], [2 / 3, 1 / 3, 0.875]],
)
_ORTHORHOMBIC = (np.diag([1.0, 1.1, 1.25]), [[0, 0, 0], [0.5, 0.5, 0.5]])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, or one of two workers waits for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests out of the user's cache."""
    before = os.environ.get("OFFMAP_CACHE")
    os.environ["OFFMAP_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["OFFMAP_CACHE"]
    else:
        os.environ["OFFMAP_CACHE"] = before


@pytest.fixture(scope="session")
def toy_dataset() -> Dataset:
    """792 binary crystals in four prototypes.

    The label follows the electronegativity difference; every fluoride is shifted by -1 eV/atom,
    which no training set without fluorine can know.
    """
    rng = np.random.default_rng(7)
    items, labels = [], []
    for i, (metal, anion, (cell, sites)) in enumerate(
        itertools.product(_METALS, _ANIONS, (_ROCKSALT, _CESIUM_CHLORIDE, _WURTZITE, _ORTHORHOMBIC))
    ):
        a, b = NUMBERS[metal], NUMBERS[anion]
        numbers = np.array([a] * (len(sites) // 2) + [b] * (len(sites) // 2), dtype=np.uint8)
        scale = (3.2 + 0.02 * a**0.7 + 0.03 * b**0.5) * (1 + 0.01 * rng.normal())
        items.append(Crystal(f"toy-{i:04d}", cell * scale, numbers, np.array(sites, dtype=float)))
        difference = ELECTRONEGATIVITY[b] - ELECTRONEGATIVITY[a]
        labels.append(-0.4 * difference**1.5 - (1.0 if anion == "F" else 0.0) + 0.02 * rng.normal())
    crystals = Crystals.from_list(items)
    card = Card("toy", "toy crystals", licence="CC0-1.0", targets={"energy": "eV/atom"})
    return Dataset(card, crystals, frame_of(crystals, energy=np.array(labels)), sha256="toy")


@pytest.fixture(scope="session")
def toy_file(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy crystals as a Parquet file in offmap's own layout."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("data") / "toy.parquet"
    table = toy_dataset.crystals.to_arrow()
    pq.write_table(table.append_column("energy", pa.array(toy_dataset.frame["energy"])), path)
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; tests that need it are skipped where it is absent."""
    if not (REAL_DATA / "mp2018.parquet").is_file():
        pytest.skip(f"the real data are not there ({REAL_DATA})")
    return REAL_DATA
