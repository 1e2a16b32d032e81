"""Symmetry and elements of materials, against spglib."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from offmap.attributes import (
    _CRYSTAL_SYSTEMS,
    _POINT_GROUPS,
    CRYSTAL_SYSTEMS,
    POINT_GROUPS,
    Attributes,
    _lookup,
    attributes,
    chemical_systems,
    from_frame,
    space_groups,
)
from offmap.crystals import Crystal, Crystals
from offmap.datasets.base import Dataset
from offmap.elements import NUMBERS


def test_classes_of_all_space_groups() -> None:
    import spglib
    from pymatgen.symmetry import groups

    point_group, crystal_system = _lookup(_POINT_GROUPS), _lookup(_CRYSTAL_SYSTEMS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how spglib will report errors one day
        types = [spglib.get_spacegroup_type(hall) for hall in range(1, 531)]
    theirs = {t.number: t.pointgroup_international for t in types}
    assert theirs == {n: point_group[n] for n in range(1, 231)}
    for number in range(1, 231):
        assert groups.SpaceGroup.from_int_number(number).crystal_system == crystal_system[number]
    assert (point_group[0], crystal_system[0]) == ("", "")
    assert (len(POINT_GROUPS), len(CRYSTAL_SYSTEMS)) == (32, 7)


def test_space_groups_of_real_crystals(real_data: Path) -> None:
    columns = ["material_id", "structure", "space_group_symprec0p01"]
    table = pq.read_table(real_data / "mp2018.parquet", columns=columns)
    rows = np.sort(np.random.default_rng(3).choice(len(table), 200, replace=False))
    items = []
    for row in table.take(rows).to_pylist():
        found = json.loads(row["structure"])
        numbers = np.array([NUMBERS[s] for s in found["species"]])
        coords = np.array(found["frac_coords"])
        items.append(Crystal(row["material_id"], np.array(found["lattice"]), numbers, coords))
    ours = space_groups(Crystals.from_list(items), symprec=0.01)
    theirs = table["space_group_symprec0p01"].to_numpy()[rows]
    assert (ours == theirs).mean() >= 0.99  # 99.85 % over all 51,868


def test_tolerance_counts() -> None:
    coords = np.array([[0, 0, 0], [0.5, 0.5, 0.505]])
    crystal = Crystal("a", np.eye(3) * 4, np.array([55, 17]), coords)
    crystals = Crystals.from_list([crystal])
    assert space_groups(crystals, 0.1)[0] == 221
    assert space_groups(crystals, 0.001)[0] == 99


def test_crystals_without_symmetry_are_zero_and_harm_nobody(toy_dataset: Dataset) -> None:
    good = toy_dataset.crystals.crystal(0)
    broken = [
        good._replace(lattice=np.full((3, 3), np.nan)),
        good._replace(lattice=np.zeros((3, 3))),
        good._replace(frac_coords=np.full_like(good.frac_coords, np.nan)),
        good._replace(frac_coords=np.zeros_like(good.frac_coords)),
        good._replace(numbers=good.numbers[:0], frac_coords=good.frac_coords[:0]),
    ]
    found = space_groups(Crystals.from_list([*broken, good]))
    assert found.tolist() == [0, 0, 0, 0, 0, 225]


def test_two_processes_find_the_same(toy_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offmap.attributes._PARALLEL_FROM", 1)
    monkeypatch.setattr("offmap.attributes._CHUNK", 300)
    seen: list[tuple[int, int]] = []
    parallel = space_groups(toy_dataset.crystals, jobs=2, progress=lambda *s: seen.append(s))
    assert parallel.tolist() == space_groups(toy_dataset.crystals).tolist()
    assert seen == [(300, 792), (600, 792), (792, 792)]


def test_attributes_and_back_from_their_table(toy_dataset: Dataset) -> None:
    found = attributes(toy_dataset.crystals)
    assert len(found) == 792
    assert found.has_symmetry
    assert found.frame["n_elements"].eq(2).all()
    assert set(found.frame["crystal_system"]) == {"cubic", "hexagonal", "orthorhombic"}
    assert found.frame["chemical_system"][0] == "Li-O"
    again = from_frame(found.frame)
    np.testing.assert_array_equal(again.has_element, found.has_element)
    half = found[::2]
    assert isinstance(half, Attributes)
    np.testing.assert_array_equal(half.has_element, found.has_element[::2])


def test_formulas_alone() -> None:
    found = attributes(Crystals.from_formulas(["Fe2O3", "NaCl"], ["a", "b"]))
    assert not found.has_symmetry
    assert found.frame["chemical_system"].tolist() == ["Fe-O", "Cl-Na"]
    assert found.frame["point_group"].tolist() == ["", ""]
    assert chemical_systems(found.has_element[:0]).shape == (0,)
