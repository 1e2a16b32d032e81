from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offmap.crystals import Crystals
from offmap.datasets.structures import StructureError, to_crystal

from .conftest import rock_salt

SALT = rock_salt()
SYMBOLS = ["Na"] * 4 + ["Cl"] * 4


SYMMETRIC_CIF = """data_NaCl
_space_group_name_H-M_alt 'F m -3 m'
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_chemical_formula_sum 'Na4 Cl4'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na+ 0 0 0 1
Cl1 Cl- 0.5(1) 0 0 1.0
"""


def pymatgen_salt():
    return Crystals.from_list([SALT]).to_pymatgen()[0]


def forms():
    lattice, coords = SALT.lattice.tolist(), SALT.frac_coords.tolist()
    structure = pymatgen_salt()
    cartesian = (SALT.frac_coords @ SALT.lattice).tolist()
    plain = {"lattice": lattice, "species": SYMBOLS, "frac_coords": coords}
    return {
        "plain": plain,
        "plain JSON": json.dumps(plain),
        "Python literal": str(plain),
        "oxidation states": plain | {"species": ["Na+"] * 4 + ["Cl1-"] * 4},
        "numbers": plain | {"species": SALT.numbers.tolist()},
        "spaces": plain | {"species": [f"{s} " for s in SYMBOLS]},
        "columnar": {
            "lattice": SALT.lattice.ravel().tolist(),
            "numbers": SALT.numbers,
            "frac_coords": coords,
        },
        "JARVIS": {
            "lattice_mat": lattice,
            "coords": coords,
            "elements": SYMBOLS,
            "cartesian": False,
            "abc": [5.64] * 3,
            "props": [""] * 8,
        },
        "JARVIS cartesian": {
            "lattice_mat": lattice,
            "coords": cartesian,
            "elements": SYMBOLS,
            "cartesian": "True",
        },
        "pymatgen dict": structure.as_dict(),
        "pymatgen JSON": structure.to_json(),
        "pymatgen": structure,
        "ASE": Crystals.from_list([SALT]).to_ase()[0],
        "ASE dict": {"cell": lattice, "numbers": SALT.numbers, "positions": cartesian},
        "OPTIMADE": {
            "lattice_vectors": lattice,
            "cartesian_site_positions": cartesian,
            "species_at_sites": ["Na1"] * 4 + ["Cl"] * 4,
            "species": [
                {"name": "Na1", "chemical_symbols": ["Na"], "concentration": [1.0]},
                {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]},
            ],
        },
        "nested": {"attributes": plain},
        "CIF": structure.to(fmt="cif"),
        "CIF with symmetry": SYMMETRIC_CIF,
        "POSCAR": structure.to(fmt="poscar"),
        "bytes": structure.to(fmt="poscar").encode(),
    }


FORMS = forms()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_crystal(form):
    crystal = to_crystal(FORMS[form], "a")
    assert crystal.material_id == "a"
    np.testing.assert_allclose(crystal.lattice, SALT.lattice, atol=1e-8)
    order = np.lexsort(np.round(crystal.frac_coords % 1, 6).T[::-1])
    expected = np.lexsort(np.round(SALT.frac_coords % 1, 6).T[::-1])
    np.testing.assert_array_equal(crystal.numbers[order], SALT.numbers[expected])
    np.testing.assert_allclose(
        crystal.frac_coords[order] % 1, SALT.frac_coords[expected] % 1, atol=1e-8
    )


def changed(form, **values):
    return FORMS[form] | values


def site(species):
    return {"species": species, "abc": [0, 0, 0]}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (None, "no structure"),
        (float("nan"), "no structure"),
        ("", "no structure"),
        ("hello", "neither CIF, POSCAR nor JSON"),
        (7, "type int"),
        ("[1, 2]", "JSON list"),
        ("{not json", "cannot be read"),
        ({"a": 1}, "unknown form"),
        (changed("plain", species=["Xx"] * 8), "unknown element 'Xx'"),
        (changed("plain", species=["(Cs,Os) "] * 8), "unknown element"),
        (changed("plain", species=["Na"] * 7), "7 species but coordinates of shape (8, 3)"),
        (changed("plain", species=[], frac_coords=[]), "no sites"),
        (changed("plain", lattice=[[1, 2, 3]]), "lattice"),
        (changed("plain", frac_coords=[["a", 0, 0]] * 8), "coordinates"),
        (changed("plain", frac_coords=[[10**400, 0, 0]] * 8), "coordinates"),
        (
            {"lattice": np.eye(3), "sites": [site([{"element": "Fe", "occu": 0.5}])]},
            "partial occupancy 0.5",
        ),
        (
            {
                "lattice": {"matrix": np.eye(3)},
                "sites": [site([{"element": "Fe", "occu": 0.5}, {"element": "Co", "occu": 0.5}])],
            },
            "Fe/Co",
        ),
        (changed("ASE dict", cell=np.zeros((3, 3))), "no volume"),
        ("data_x\n_cell_length_a 3\n", "no atom sites"),
        ('{"lattice":' * 5000, "cannot be read"),
        ("[" * 200_000, "cannot be read"),
    ],
)
def test_what_is_no_structure_says_why(cell, words):
    with pytest.raises(StructureError) as caught:
        to_crystal(cell)
    assert words in str(caught.value) or "nested" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_disorder_is_recognised():
    structure = pymatgen_salt()
    structure[0] = {"Na": 0.5, "K": 0.5}
    for cell in (structure, structure.as_dict(), structure.to(fmt="cif")):
        with pytest.raises(StructureError, match=r"disorder|partial occupancy"):
            to_crystal(cell)


def test_cif_that_lacks_an_element_of_its_formula():
    text = FORMS["CIF"].replace("'Na4 Cl4'", "'Na4 Cl4 H2'")
    with pytest.raises(StructureError, match="names H in its formula"):
        to_crystal(text)


@given(st.text(max_size=300) | st.binary(max_size=100))
def test_no_text_makes_it_fail_otherwise(text):
    with pytest.raises(StructureError):
        to_crystal(text)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: st.recursive(
                st.none() | st.floats() | st.integers() | st.text(max_size=4),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=8,
            )
            for key in (
                "lattice",
                "species",
                "frac_coords",
                "sites",
                "lattice_mat",
                "elements",
                "coords",
            )
        },
    )
)
def test_no_dict_makes_it_fail_otherwise(cell):
    try:
        crystal = to_crystal(cell)
    except StructureError:
        return
    assert crystal.frac_coords.shape == (len(crystal.numbers), 3)
