"""The periodic table and formulas, against pymatgen."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen import core

from offmap.crystals import Crystals
from offmap.elements import (
    ELECTRONEGATIVITY,
    GROUP,
    NOBLE_GASES,
    NUMBERS,
    PERIOD,
    SYMBOLS,
    parse_formula,
)


def reduced(formula: str) -> str:
    """As every table of offmap has it."""
    return str(Crystals.from_formulas([formula], ["x"]).formula[0])


AMOUNTS = st.dictionaries(st.integers(1, 103), st.integers(1, 24), min_size=1, max_size=6)


@pytest.mark.parametrize("z", range(1, 104))
def test_place_in_the_periodic_table(z: int) -> None:
    element = core.Element.from_Z(z)
    assert SYMBOLS[z] == element.symbol
    assert (PERIOD[z], GROUP[z]) == (element.row, element.group)
    assert (SYMBOLS[z] in NOBLE_GASES) == element.is_noble_gas


@pytest.mark.parametrize("z", range(1, 104))
def test_electronegativity(z: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where Pauling gave none
        theirs = float(core.Element.from_Z(z).X)
    if theirs == theirs and ELECTRONEGATIVITY[z]:
        assert ELECTRONEGATIVITY[z] == pytest.approx(theirs)
    else:
        assert theirs != theirs
        assert not ELECTRONEGATIVITY[z]


@settings(max_examples=60, deadline=None)
@given(AMOUNTS)
def test_formulas_are_the_same_composition_as_pymatgen_finds(amounts: dict[int, int]) -> None:
    given = "".join(f"{SYMBOLS[z]}{n}" for z, n in amounts.items())
    ours = reduced(given)
    theirs = core.Composition({SYMBOLS[z]: n for z, n in amounts.items()}).reduced_formula
    assert core.Composition(ours).reduced_formula == theirs
    assert reduced(ours) == ours


def test_order_of_elements_does_not_matter() -> None:
    assert reduced("O6Fe4") == reduced("Fe4O6") == "Fe2O3"


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("Ca(OH)2", {"Ca": 1, "O": 2, "H": 2}),
        ("Fe[Fe(CN)6]0.75", {"Fe": 1.75, "C": 4.5, "N": 4.5}),
        (" Li .5 Co O2.", {"Li": 0.5, "Co": 1, "O": 2}),
        ("D2O", {"H": 2, "O": 1}),
        ("NaN", {"Na": 1, "N": 1}),
        ("Fe0O", {"O": 1}),
    ],
)
def test_parse(text: str, amounts: dict[str, float]) -> None:
    assert parse_formula(text) == {NUMBERS[s]: n for s, n in amounts.items()}


@pytest.mark.parametrize(
    "text", ["", "  ", "42", "Xx2", "fe2o3", "Na(Cl", "NaCl)", "H.", "H0", "X"]
)
def test_no_formula(text: str) -> None:
    with pytest.raises(ValueError, match=r"formula|element|bracket"):
        parse_formula(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="HOFeNa()[]0123456789. XÅ²½", max_size=24))
def test_any_text_is_a_formula_or_an_error_in_words(text: str) -> None:
    try:
        amounts = parse_formula(text)
    except ValueError as error:
        amounts, said = {1: 1.0}, str(error)
    else:
        said = ""
    assert all(n > 0 for n in amounts.values())
    assert amounts
    assert "could not convert" not in said
