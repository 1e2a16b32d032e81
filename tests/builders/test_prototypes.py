"""The builder of the embedded dataset: prototypes, decorations, filters (no CHGNet needed)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BUILDER = Path(__file__).parents[2] / "builders" / "prototypes"
sys.path.insert(0, str(BUILDER))

import collect  # noqa: E402
import decorate  # noqa: E402
import minimise  # noqa: E402
import potential  # noqa: E402
import prototypes  # noqa: E402
import queue_order  # noqa: E402
import references  # noqa: E402
import shards  # noqa: E402

TABLE = prototypes.load_prototypes()
FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
SYSTEM_ENDS = (2, 15, 74, 142, 167, 194, 230)


@pytest.fixture(scope="module")
def drawn():
    return decorate.candidates(seed=1, scale=0.03)


@pytest.mark.parametrize("name", TABLE)
def test_prototype_has_its_space_group(name):
    assert prototypes.parse_check(TABLE[name]) == TABLE[name].group


@pytest.mark.parametrize("name", references.structures())
def test_reference_structure_has_its_space_group(name):
    structure = references.structures()[name]
    crystal = prototypes.ideal_crystal(structure, {"A": "As"})
    assert prototypes.space_group(crystal) == structure.group


def test_table_is_broad():
    groups = {p.group for p in TABLE.values()}
    systems = {sum(group > end for end in SYSTEM_ENDS) for group in groups}
    assert len([p for p in TABLE.values() if not p.random]) >= 40
    assert len(groups) >= 50
    assert len(systems) == 7
    assert {p.dims for p in TABLE.values()} == {1, 2, 3}


def test_candidates_are_reproducible(drawn):
    assert drawn == decorate.candidates(seed=1, scale=0.03)
    assert drawn != decorate.candidates(seed=2, scale=0.03)


def test_order_spreads_the_space_groups():
    found = [{"n": i} for i in range(1600)]
    groups = [225] * 1500 + [2] * 100
    ordered = decorate.in_order(found, groups)
    assert sorted(row["n"] for row in ordered) == list(range(1600))
    assert sum(groups[row["n"]] == 2 for row in ordered[:175]) == 50
    assert all(groups[row["n"]] == 225 for row in ordered[350:])


def test_cheap_first_fills_space_groups_then_goes_by_cost():
    names = ["rocksalt"] * 300 + ["fluorite"] * 300 + ["spinel"] * 10
    rows = [{"prototype": name} for name in names]
    done = [
        {"index": 0, "prototype": "rocksalt", "reason": "", "numbers": [1] * 2, "evaluations": 9},
        {"index": 300, "prototype": "fluorite", "reason": "", "numbers": [1] * 3, "evaluations": 5},
        {"index": 600, "prototype": "spinel", "reason": "", "numbers": [1] * 14, "evaluations": 9},
    ]
    order = queue_order.cheap_first(rows, done)
    goal = queue_order.GROUP_GOAL - 2
    assert sorted(order) == queue_order.remaining(rows, done)
    assert all(names[i] == "fluorite" for i in order[:goal])
    assert any(names[i] == "spinel" for i in order[goal:])


def test_shards_keep_the_rows_and_move_to_another_list(tmp_path):
    lists = ([{"seed": [0, 1]}, {"seed": [0, 2]}], [{"seed": [0, 2]}, {"seed": [0, 3]}])
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, candidates in zip((old, new), lists, strict=True):
        folder.mkdir()
        shards.write_json(folder / "candidates.json", candidates)
    shards.write_shard(old, [{"index": 0, "energy": 1.0}, {"index": 1, "energy": 2.0}])
    for _ in range(2):
        shards.import_finished(new, old)
    assert shards.read_shards(new) == [{"index": 0, "energy": 2.0}]


def test_ionic_candidates_are_neutral(drawn):
    for candidate in drawn:
        prototype = TABLE[candidate["prototype"]]
        counts = decorate.multiplicities(prototype)
        assert len(set(candidate["elements"].values())) == len(candidate["elements"])
        if prototype.kind == "ionic":
            assert decorate.is_neutral(prototype, candidate["elements"], counts)
            assert decorate.is_ordered(prototype, candidate["elements"])


def test_charges_decide():
    rocksalt = TABLE["rocksalt"]
    counts = decorate.multiplicities(rocksalt)
    assert decorate.is_sensible(rocksalt, {"A": "Mg", "X": "O"}, counts)
    assert not decorate.is_sensible(rocksalt, {"A": "Na", "X": "O"}, counts)
    assert not decorate.is_sensible(rocksalt, {"A": "Au", "X": "Sb"}, counts)


def test_random_prototype_depends_on_the_seed_alone():
    prototype = TABLE["random-triclinic-ax2"]
    one, same, other = (
        prototypes.ideal_crystal(prototype, {"A": "Zr", "X": "S"}, seed)
        for seed in ([0, 1], [0, 1], [0, 2])
    )
    np.testing.assert_array_equal(one.frac_coords, same.frac_coords)
    assert not np.allclose(one.frac_coords, other.frac_coords)


def test_symmetry_operations_map_the_crystal_onto_itself():
    crystal = prototypes.ideal_crystal(TABLE["rutile"], {"A": "Ti", "X": "O"})
    rotations, permutations = minimise.symmetry(crystal)
    assert len(rotations) == 16
    for rotation in rotations:
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-8)
    assert (np.sort(permutations, axis=1) == np.arange(6)).all()


def test_minimiser_finds_the_volume_of_a_spring_crystal():
    """A crystal whose energy is (V/V0 - 1)^2 relaxes to V0 and keeps its symmetry."""
    crystal = prototypes.ideal_crystal(TABLE["rutile"], {"A": "Ti", "X": "O"})
    goal = 1.2 * crystal.volume
    minimiser = minimise.Minimiser(crystal)
    for _ in range(30):
        now = minimiser.crystal()
        virial = 2 * (now.volume / goal - 1) * now.volume * np.eye(3)
        minimiser.step(np.zeros((6, 3)), virial)
    assert minimiser.crystal().volume == pytest.approx(goal, rel=1e-4)
    assert prototypes.space_group(minimiser.crystal()) == 136


def test_formula_is_reduced_and_ordered():
    assert collect.reduced_formula([8, 8, 22, 8, 8, 22]) == "TiO2"
    assert collect.reduced_formula([17, 11]) == "NaCl"


def test_rounding_keeps_the_symmetry():
    crystal = prototypes.ideal_crystal(TABLE["quartz"], {"A": "Si", "X": "O"})
    rounded = collect.rounded(crystal)
    assert prototypes.space_group(rounded, symprec=0.01) == 154
    assert rounded.volume == pytest.approx(crystal.volume, rel=1e-4)
    assert ((rounded.frac_coords >= 0) & (rounded.frac_coords < 1)).all()


def test_labels_and_filters():
    row = {
        "index": 4,
        "prototype": "rocksalt",
        "reason": "",
        "energy": -3.0,
        "evaluations": 5,
        "lattice": [4.2, 0, 0, 0, 4.2, 0, 0, 0, 4.2],
        "numbers": [12, 12, 12, 12, 8, 8, 8, 8],
        "frac_coords": np.vstack([FACES, FACES + 0.5]).ravel().tolist(),
    }
    energies = {"Mg": -1.0, "O": -2.0}
    entry, reason = collect.label(row, energies)
    assert reason == ""
    assert entry["material_id"] == "proto-00005"
    assert entry["formation_energy_per_atom"] == pytest.approx(-1.5)
    assert entry["space_group"] == 225
    assert collect.label({**row, "reason": "unconverged"}, energies) == (None, "unconverged")
    assert "above 5" in collect.label({**row, "energy": -30.0}, energies)[1]
    tiny = {**row, "lattice": [u / 5 for u in row["lattice"]]}
    assert "closer" in collect.label(tiny, energies)[1]
    kept, n_dropped = collect.without_duplicates([entry, {**entry, "material_id": "proto-00006"}])
    assert [e["material_id"] for e in kept] == ["proto-00005"]
    assert n_dropped == 1


def test_quickened_layers_are_exact():
    """Runs only where the builder's own environment is installed."""
    pytest.importorskip("chgnet")
    from fast_layers import quicken

    model = potential.Potential(quick=False)
    elements = {"A": "Sr", "B": "Ti", "X": "O"}
    graphs = [model.graph(prototypes.ideal_crystal(TABLE["perovskite"], elements))]
    energy, forces, virial = model.evaluate(graphs)[0]
    quicken(model.model)
    quick_energy, quick_forces, quick_virial = model.evaluate(graphs)[0]
    assert quick_energy == pytest.approx(energy, abs=1e-5)
    np.testing.assert_allclose(quick_forces, forces, atol=1e-3)
    np.testing.assert_allclose(quick_virial, virial, atol=1e-3)
