"""Crystals: one object for many, whatever way they came in."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap.crystals import Crystal, Crystals
from offmap.elements import parse_formula


def random_crystals(n: int, seed: int = 0, most: int = 7) -> Crystals:
    rng = np.random.default_rng(seed)
    return Crystals.from_list(
        Crystal(
            f"c-{seed}-{i}",
            rng.uniform(-1, 1, (3, 3)) + 4 * np.eye(3),
            rng.integers(1, 100, size).astype(np.uint8),
            rng.uniform(-0.5, 1.5, (size, 3)),
        )
        for i, size in enumerate(rng.integers(0 if most < 7 else 1, most + 1, n))
    )


def same(a: Crystals, b: Crystals) -> None:
    assert a.material_id.tolist() == b.material_id.tolist()
    np.testing.assert_array_equal(a.offsets, b.offsets)
    np.testing.assert_array_equal(a.numbers, b.numbers)
    np.testing.assert_allclose(a.lattice, b.lattice, atol=1e-12)
    np.testing.assert_allclose(a.frac_coords, b.frac_coords, atol=1e-10)
    for field in ("material_id", "lattice", "numbers", "frac_coords", "offsets"):
        assert getattr(a, field).dtype == getattr(b, field).dtype, field


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 8), st.integers(0, 99), st.data())
def test_take_concat_iterate_arrow(n: int, seed: int, data: st.DataObject) -> None:
    crystals = random_crystals(n, seed, most=4)
    same(Crystals.from_list(crystals), crystals)
    same(Crystals.from_arrow(crystals.to_arrow()), crystals)
    cut = data.draw(st.integers(0, n))
    same(Crystals.concat([crystals[:cut], crystals[cut:]]), crystals)
    rows = data.draw(st.lists(st.integers(0, n - 1), max_size=9)) if n else []
    taken = crystals.take(np.array(rows, dtype=int))
    same(taken, Crystals.from_list(crystals.crystal(i) for i in rows))
    assert taken.formula.tolist() == [crystals.formula[i] for i in rows]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)
    same(crystals[mask], crystals.take(np.flatnonzero(mask)))


def test_none_at_all() -> None:
    none = Crystals.concat([])
    same(Crystals.from_arrow(none.to_arrow()), none)
    assert len(none) == 0
    assert none.formula.shape == none.content_hash().shape == (0,)
    assert none.counts.shape == (0, 119)


def test_arrow_takes_other_list_and_number_types() -> None:
    crystals = random_crystals(4)
    table = pa.table(
        {
            "material_id": crystals.material_id.tolist(),
            "lattice": [c.lattice.tolist() for c in crystals],
            "numbers": [c.numbers.tolist() for c in crystals],
            "frac_coords": [c.frac_coords.tolist() for c in crystals],
        }
    )
    same(Crystals.from_arrow(table), crystals)
    same(Crystals.from_arrow(table.slice(1, 2)), crystals[1:3])
    same(Crystals.from_arrow(pa.concat_tables([table.slice(0, 1), table.slice(1)])), crystals)


def test_pymatgen() -> None:
    from pymatgen import core

    crystals = random_crystals(5)
    structures = crystals.to_pymatgen()
    same(Crystals.from_pymatgen(structures, crystals.material_id), crystals)
    for structure, formula, volume in zip(
        structures, crystals.formula, crystals.volume, strict=True
    ):
        assert core.Composition(formula).reduced_formula == structure.composition.reduced_formula
        assert structure.volume == pytest.approx(volume)
    mixed = core.Structure(np.eye(3) * 4, [{"Fe": 0.5, "Co": 0.5}], [[0, 0, 0]])
    with pytest.raises(ValueError, match="m-1: the structure is disordered"):
        Crystals.from_pymatgen([mixed], ["m-1"])


def test_ase() -> None:
    crystals = random_crystals(5)
    same(Crystals.from_ase(crystals.to_ase(), crystals.material_id), crystals)


@pytest.mark.parametrize(
    ("formula", "reduced"),
    [
        ("Fe4O6", "Fe2O3"),
        ("Li0.5CoO2", "LiCo2O4"),
        ("Li0.333CoO2", "LiCo3O6"),
        ("Ba0.37Cu", "Ba37Cu100"),
        ("Fe0.123O", "Fe123O1000"),
        ("O2", "O"),
    ],
)
def test_from_formulas(formula: str, reduced: str) -> None:
    crystals = Crystals.from_formulas([formula, "NaCl"], ["a", "b"])
    assert crystals.formula.tolist() == [reduced, "NaCl"]
    assert not crystals.has_structure
    assert len(set(crystals.content_hash())) == 2


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["Fe", "O", "Na", "P"]), st.integers(1, 400), min_size=1))
def test_fractions_of_a_hundredth_are_kept(hundredths: dict[str, int]) -> None:
    text = "".join(f"{s}{n / 100:.2f}" for s, n in hundredths.items())
    found = parse_formula(Crystals.from_formulas([text], ["a"]).formula[0])
    whole = np.array(list(parse_formula(text).values()))
    ours = np.array([found[z] for z in parse_formula(text)])
    np.testing.assert_allclose(ours / ours.sum(), whole / whole.sum(), atol=2e-3)


@pytest.mark.parametrize(
    "formula", ["H999999999", "H" + "9" * 400, "H99999O0.5", "Fe0.0001O", "Q2"]
)
def test_formulas_that_cannot_be_used(formula: str) -> None:
    with pytest.raises(ValueError, match=r"atoms|multiples|unknown element"):
        Crystals.from_formulas([formula], ["a"])


def _edited(crystal: Crystal, **changes: object) -> str:
    return str(Crystals.from_list([crystal._replace(**changes)]).content_hash()[0])


def test_hash_is_of_the_content() -> None:
    crystals = random_crystals(3)
    # A special position, on no boundary of rounding.
    coords = np.array([[0.0, 1 / 3, 2 / 3], [0.5, 0.25, -0.125], [1 / 6, 0.0625, 0.9]])
    numbers = np.array([26, 8, 8], np.uint8)
    crystal = Crystal("a", np.diag([4.0, 5.123, 6.05]), numbers, coords)
    key = _edited(crystal)
    assert key == _edited(crystal, material_id="b")
    assert key == _edited(crystal, frac_coords=np.round(coords, 8))
    assert key == _edited(crystal, lattice=crystal.lattice + 1e-9)
    assert key == _edited(crystal, frac_coords=coords - 1e-12)  # -0.0 is 0.0
    assert key != _edited(crystal, numbers=np.array([26, 8, 16]))
    assert key != _edited(crystal, frac_coords=coords + 1e-3)
    assert key != _edited(crystal, lattice=crystal.lattice * 1.001)
    assert len(set(crystals.content_hash())) == 3
    assert crystals[::-1].content_hash().tolist() == crystals.content_hash().tolist()[::-1]


@pytest.mark.parametrize("number", [119, 256 + 8, -1])
def test_numbers_are_checked_before_they_wrap_around(number: int) -> None:
    wrong = Crystal("a", np.eye(3), np.array([number]), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="no atomic number"):
        Crystals.from_list([wrong])
    table = random_crystals(1, most=1).to_arrow().set_column(2, "numbers", pa.array([[number]]))
    with pytest.raises(ValueError, match="no atomic number"):
        Crystals.from_arrow(table)


@pytest.mark.parametrize("offsets", [[0, 2, 1, 3], [0, 1, 3], [0, 1, 2, 4], [1, 1, 2, 3]])
def test_offsets_are_checked(offsets: list[int]) -> None:
    ids = np.array(list("abc"), dtype=object)
    with pytest.raises(ValueError, match="offsets"):
        Crystals(
            ids, np.zeros((3, 3, 3)), np.ones(3, np.uint8), np.zeros((3, 3)), np.array(offsets)
        )


def test_what_was_derived_does_not_travel_to_other_processes() -> None:
    crystals = random_crystals(50)
    small = len(pickle.dumps(crystals))
    assert crystals.formula.shape == (50,)
    assert len(pickle.dumps(crystals)) == small
    same(pickle.loads(pickle.dumps(crystals)), crystals)


def test_many_crystals_take_no_time() -> None:
    n = 30_000
    crystals = Crystals(
        np.arange(n).astype(str).astype(object),
        np.broadcast_to(np.eye(3) * 4, (n, 3, 3)),
        np.random.default_rng(0).integers(1, 90, 4 * n).astype(np.uint8),
        np.zeros((4 * n, 3)),
        np.arange(0, 4 * n + 1, 4),
    )
    begun = time.process_time()
    assert len(set(crystals.formula)) > 1000
    assert len(set(crystals.content_hash())) > 1000
    assert len(Crystals.from_list(crystals)) == n
    assert len(Crystals.from_arrow(crystals[::-1].to_arrow())) == n
    assert time.process_time() - begun < 5
