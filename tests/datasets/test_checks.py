from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from offmap.crystals import Crystal, Crystals
from offmap.datasets import load
from offmap.datasets.base import Card, Dataset, frame_of
from offmap.datasets.checks import (
    blown_up,
    check,
    conflicting_labels,
    conflicting_sources,
    reference_drift,
    summary,
)
from offmap.datasets.twins import (
    TWIN_TOLERANCE,
    fingerprint,
    near_twins,
    twins_across,
    twins_by_task,
)
from offmap.errors import DataError

from .conftest import rock_salt, shared_file

TWIST = np.array([[1, 0, 0], [1, 1, 0], [0, 2, 1]])  # another cell of the same lattice


def other_cell(c: Crystal, name: str) -> Crystal:
    return Crystal(name, TWIST @ c.lattice, c.numbers, c.frac_coords @ np.linalg.inv(TWIST) + 0.3)


def double(c: Crystal, name: str) -> Crystal:
    coords = np.vstack([c.frac_coords, c.frac_coords + np.array([1, 0, 0])]) / [2, 1, 1]
    return Crystal(name, c.lattice * [[2], [1], [1]], np.tile(c.numbers, 2), coords)


def changed(c: Crystal, name: str, strain: float = 0.0, rattle: float = 0.0) -> Crystal:
    rng = np.random.default_rng(0)
    lattice = c.lattice @ (np.eye(3) + strain * rng.uniform(-1, 1, (3, 3)))
    move = rattle * rng.normal(size=c.frac_coords.shape) @ np.linalg.inv(lattice)
    return Crystal(name, lattice, c.numbers, c.frac_coords + move)


@pytest.fixture(scope="module")
def diverse():
    crystals = load("prototypes", limit=25, seed=3).crystals
    return [crystals.crystal(i) for i in range(len(crystals))]


def test_the_fingerprint_does_not_depend_on_the_cell(diverse):
    for c in diverse:
        same = fingerprint(c)
        np.testing.assert_allclose(fingerprint(other_cell(c, "b")), same, atol=1e-8)
        np.testing.assert_allclose(fingerprint(double(c, "b")), same, atol=1e-8)
        scaled = Crystal("s", 1.1 * c.lattice, c.numbers, c.frac_coords)
        np.testing.assert_allclose(fingerprint(scaled), same, atol=1e-8)


def test_planted_twins_are_found_and_nothing_else(diverse):
    wild = [changed(c, f"{c.material_id}-far", rattle=0.35) for c in diverse]
    near = [changed(c, f"{c.material_id}-near", strain=0.004, rattle=0.01) for c in diverse]
    crystals = Crystals.from_list([*diverse, *wild, *near])
    twins = near_twins(crystals)
    pairs = set(zip(twins["material_id"], twins["twin"], strict=True))
    found = sum((f"{c.material_id}-near", c.material_id) in pairs for c in diverse)
    assert found >= 0.9 * len(diverse)
    assert not any(i.endswith("far") for i in twins["material_id"])
    assert (twins["difference"] <= TWIN_TOLERANCE).all()


def test_twins_on_both_sides_of_a_split():
    salt = rock_salt()
    crystals = Crystals.from_list(
        [salt._replace(material_id="a"), double(salt, "b"), rock_salt(5, (3, 9), "c")]
    )
    twins = near_twins(crystals)
    assert twins["material_id"].tolist() == ["a", "b"]
    assert twins["twin"].tolist() == ["b", "a"]
    assert len(twins_across(twins, ["a", "c"])) == 2
    assert len(twins_across(twins, ["a", "b"])) == 0
    assert len(twins_across(near_twins(crystals.take(np.array([2]))), ["c"])) == 0
    by_task = {"Na": ["a"], "Cl": ["a", "b"], "large": ["a", "c"]}
    rows = [("element", task, i) for task, ids in by_task.items() for i in ids]
    members = pd.DataFrame(rows, columns=["criterion", "held_out", "material_id"])
    table = twins_by_task(twins, members)
    assert table["held_out"].tolist() == ["Na", "large"]
    assert table[["n_test", "n_twins", "share"]].to_numpy().tolist() == [[1, 1, 1.0], [2, 1, 0.5]]
    assert len(twins_by_task(near_twins(crystals.take(np.array([2]))), members)) == 0


def dataset(crystals, name="one", **columns):
    return Dataset(Card(name, targets={"e": "eV/atom"}), crystals, frame_of(crystals, **columns))


def test_conflicting_labels_and_the_summary():
    salt = rock_salt()
    crystals = Crystals.from_list(
        [
            salt._replace(material_id="a"),
            double(salt, "b"),
            rock_salt(5, (3, 9), "c"),
            double(rock_salt(5, (3, 9)), "d"),
            rock_salt(25, (19, 9), "e"),
        ]
    )
    data = dataset(crystals, e=[-1.0, -1.3, -2.0, -2.05, 0.0])
    table = conflicting_labels(data)
    assert table["material_id"].tolist() == ["a", "b"]
    assert table["spread"].tolist() == pytest.approx([0.3, 0.3])
    assert blown_up(crystals)["material_id"].tolist() == ["e"]
    lines = summary(check(data)).set_index("check")
    assert lines["found"].to_dict() == {"blown_up": 1, "near_twins": 4, "conflicting_labels": 2}
    assert lines["example"]["blown_up"].startswith("e KF ")
    members = pd.DataFrame({"criterion": "element", "held_out": "Na", "material_id": ["a"]})
    assert len(check(data, members=members)["twins_across"]) == 1
    with pytest.raises(DataError, match="no material of the study is in dataset one"):
        check(data, members=members.replace("a", "z"))
    with pytest.raises(DataError, match="no structures"):
        check(dataset(Crystals.from_formulas(["NaCl"], ["a"]), e=[1.0]))


def test_the_same_material_in_two_sources():
    crystals = Crystals.from_formulas(["NaCl", "KCl", "LiF"], ["a", "b", "c"])
    one = dataset(crystals, e=[1.0, 2.0, 3.0])
    other = dataset(crystals, "two", e=[1.05, 2.5, 2.0])
    table = conflicting_sources(one, other)
    assert table["material_id"].tolist() == ["c", "b"]
    assert table["difference"].tolist() == [1.0, -0.5]
    assert list(table) == ["material_id", "formula", "one", "two", "difference"]


def test_a_planted_drift_of_references():
    rng = np.random.default_rng(0)
    metals, anions = ["Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Zn"], ["O", "S", "F", "Cl"]
    formulas = [
        f"{m}{i}{x}{j}" for m in metals for x in anions for i, j in ((1, 1), (1, 2), (2, 1))
    ]
    crystals = Crystals.from_formulas(formulas, formulas)
    counts = crystals.counts
    oxygen = counts[:, 8] / counts.sum(axis=1)
    base = rng.normal(-1, 0.5, len(formulas))
    other = base - 0.4 * oxygen + rng.normal(0, 0.005, len(formulas))
    other[:3] += 2.0  # another polymorph
    table = reference_drift(dataset(crystals, e=base), dataset(crystals, "two", e=other))
    assert table["element"][0] == "O"
    assert table["drift"][0] == pytest.approx(0.4, abs=0.02)
    assert table["drift"][1:].abs().max() < 0.03
    one, two = dataset(crystals, e=base), dataset(crystals, "two", e=other)
    lines = summary(check(one, other=two)).set_index("check")
    assert lines["found"]["conflicting_sources"] == 24  # the oxides
    assert lines["found"]["reference_drift"] == 1
    assert lines["example"]["reference_drift"].startswith("O 0.")
    few = dataset(crystals.take(np.arange(5)), e=base[:5])
    with pytest.raises(DataError, match="share only 5 compositions"):
        reference_drift(few, few)


def test_blown_up_cells_of_the_materials_project(tmp_path):
    path = shared_file("mp2018.parquet")
    table = pd.read_parquet(path, filters=[("volume_per_atom", ">", 60.0)])
    table.to_parquet(tmp_path / "part.parquet")
    found = set(blown_up(load(tmp_path / "part.parquet").crystals)["material_id"])
    assert found == set(table["material_id"][table["volume_per_atom"] > 100])
    assert found <= set(table["material_id"][table["suspect"]])
