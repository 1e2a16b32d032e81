"""Who belongs to which group: every criterion against the rule written out plainly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap import registry
from offmap.attributes import (
    _CRYSTAL_SYSTEMS,
    _POINT_GROUPS,
    CRYSTAL_SYSTEMS,
    POINT_GROUPS,
    Attributes,
    _lookup,
    attributes,
)
from offmap.crystals import Crystals
from offmap.elements import GROUP, PERIOD, SYMBOLS
from offmap.errors import OffmapError, UnknownNameError
from offmap.tasks.membership import Groups, Membership, find_groups, groups_from_values, membership

NOBLE = {"He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og"}
CRITERIA = sorted(registry.names("criterion"))

MATERIALS = st.lists(
    st.tuples(st.sets(st.integers(1, 103), min_size=1, max_size=7), st.integers(1, 230)),
    min_size=1,
    max_size=25,
)


def known_attributes(materials: list[tuple[set[int], int]]) -> Attributes:
    """Attributes of materials given by their elements and their space group."""
    formulas = ["".join(SYMBOLS[z] for z in sorted(zs)) for zs, _ in materials]
    ids = [f"m-{i}" for i in range(len(materials))]
    found = attributes(Crystals.from_formulas(formulas, ids))
    numbers = np.array([n for _, n in materials], dtype=np.int16)
    frame = found.frame.assign(
        space_group=numbers,
        point_group=_lookup(_POINT_GROUPS)[numbers],
        crystal_system=_lookup(_CRYSTAL_SYSTEMS)[numbers],
    )
    return Attributes(frame, found.has_element)


def plain_rule(criterion: str, held_out: str, elements: set[int], space_group: int) -> bool:
    """The rules of Li et al., one material at a time."""
    if criterion == "element":
        return held_out in {SYMBOLS[z] for z in elements}
    if criterion == "period":
        return any(PERIOD[z] == int(held_out) for z in elements)
    if criterion == "group":
        return any(GROUP[z] == int(held_out) for z in elements)
    if criterion == "n_elements":
        if held_out.startswith("<="):
            return len(elements) <= int(held_out[2:])
        return len(elements) > int(held_out[1:])
    if criterion == "space_group":
        return space_group == int(held_out)
    names = {"point_group": _POINT_GROUPS, "crystal_system": _CRYSTAL_SYSTEMS}[criterion]
    return names[max(first for first in names if first <= space_group)] == held_out


def plain_labels(criterion: str, materials: list[tuple[set[int], int]]) -> list[str]:
    if criterion == "element":
        present = sorted({z for zs, _ in materials for z in zs})
        return [SYMBOLS[z] for z in present if SYMBOLS[z] not in NOBLE]
    if criterion == "period":
        return [str(n) for n in range(2, 8)]
    if criterion == "group":
        return [str(n) for n in range(1, 18)]
    if criterion == "n_elements":
        return [">2", ">3", ">4", ">5", "<=2", "<=3", "<=4"]
    order = {"space_group": map(str, range(1, 231)), "point_group": POINT_GROUPS}
    candidates = order.get(criterion, CRYSTAL_SYSTEMS)
    return [c for c in candidates if any(plain_rule(criterion, c, *m) for m in materials)]


@pytest.mark.parametrize("criterion", ["element", "period", "group", "n_elements", "space_group",
                                       "point_group", "crystal_system"])  # fmt: skip
@settings(max_examples=25, deadline=None)
@given(materials=MATERIALS)
def test_members_follow_the_plain_rule(
    criterion: str, materials: list[tuple[set[int], int]]
) -> None:
    groups = find_groups(criterion, known_attributes(materials))
    assert list(groups.labels) == plain_labels(criterion, materials)
    expected = [[plain_rule(criterion, h, *m) for h in groups.labels] for m in materials]
    np.testing.assert_array_equal(groups.matrix, np.array(expected).reshape(groups.matrix.shape))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_order_of_the_materials_does_not_matter(criterion: str) -> None:
    rng = np.random.default_rng(0)
    materials = [
        (set(rng.choice(np.arange(1, 90), rng.integers(1, 6)).tolist()), int(rng.integers(1, 231)))
        for _ in range(300)
    ]
    found = known_attributes(materials)
    tasks = membership(found, [criterion])
    assert len(tasks) > 0
    order = rng.permutation(len(materials))
    shuffled = membership(found[order], [criterion])
    assert shuffled.held_out.tolist() == tasks.held_out.tolist()
    np.testing.assert_array_equal(shuffled.matrix, tasks.matrix[order])


def test_known_materials() -> None:
    tasks = membership(
        known_attributes([({26, 8}, 167), ({11, 17}, 225), ({60, 8, 10}, 1)]),
        ["element", "period", "group", "point_group"],
    )

    def members(criterion: str, held_out: str) -> list[int]:
        return np.flatnonzero(tasks.test_rows(criterion, held_out)).tolist()

    assert members("element", "O") == [0, 2]
    assert members("period", "6") == [2]  # neodymium
    assert members("group", "3") == [2]
    assert members("group", "8") == [0]
    assert members("point_group", "m-3m") == [1]
    assert "Ne" not in tasks.held_out
    with pytest.raises(UnknownNameError, match="element/Ne"):
        tasks.test_rows("element", "Ne")


def test_dummy_atoms_are_no_element() -> None:
    found = known_attributes([({8}, 1)])
    found.has_element[0, 0] = True
    assert find_groups("element", found).labels == ("O",)


def _membership(sizes: list[int], n: int) -> Membership:
    matrix = np.stack([np.arange(n) < size for size in sizes], axis=1)
    names = np.array([f"g{size}" for size in sizes], dtype=object)
    return Membership(np.full(len(sizes), "c", dtype=object), names, matrix)


def test_both_sides_must_be_large_enough() -> None:
    table = _membership([0, 9, 10, 50, 90, 91, 100], 100).tasks(min_size=10)
    assert table["kept"].tolist() == [False, False, True, True, True, False, False]
    assert table["n_test"].tolist() == [0, 9, 10, 50, 90, 91, 100]
    assert (table["n_train"] + table["n_test"]).eq(100).all()
    few_test, few_train = "fewer than 10 test materials", "fewer than 10 training materials"
    assert table["reason"].tolist() == [few_test, few_test, "", "", "", few_train, few_train]


def test_members_are_the_test_side() -> None:
    table = _membership([1, 3], 4).members(list("abcd"))
    assert table["material_id"].tolist() == ["a", "a", "b", "c"]
    assert table["held_out"].tolist() == ["g1", "g3", "g3", "g3"]
    assert table["held_out"].dtype == "category"


def test_one_value_per_material() -> None:
    groups = groups_from_values([2, 10, None, 2, float("nan"), pd.NA])
    assert groups.labels == ("2", "10")
    assert groups.matrix.T.tolist() == [[True, False, False, True, False, False],
                                        [False, True, False, False, False, False]]  # fmt: skip


def test_a_list_of_values_per_material() -> None:
    groups = groups_from_values([["b", "a", "a"], [], ("b",), {"c"}, ["a", None], np.array(["c"])])
    assert groups.labels == ("a", "b", "c")
    assert groups.matrix.sum(axis=0).tolist() == [2, 2, 2]


def test_values_of_several_types_that_read_the_same_are_one_group() -> None:
    groups = groups_from_values([1, "1", "b", True, np.int64(1)])
    assert groups.labels == ("1", "True", "b")
    assert groups.matrix.sum(axis=0).tolist() == [3, 1, 1]


def test_no_value_at_all() -> None:
    assert groups_from_values([]).matrix.shape == (0, 0)
    assert groups_from_values([None, None]).matrix.shape == (2, 0)


def first_letter(attributes: Attributes) -> list[str]:
    """A user's criterion: one value per material."""
    return [formula[0] for formula in attributes.frame["formula"]]


def too_short(attributes: Attributes) -> list[str]:
    """A user's criterion that is wrong."""
    return ["a"]


def as_integers(attributes: Attributes) -> Groups:
    """A user's criterion that gives a matrix of integers."""
    return Groups(("one",), np.ones((len(attributes), 1), dtype=int))


def test_a_criterion_of_ones_own() -> None:
    found = known_attributes([({26, 8}, 1), ({11, 17}, 1), ({9, 11}, 2)])
    tasks = membership(found, ["crystal_system", f"{__name__}:first_letter"])
    assert tasks.held_out.tolist() == ["triclinic", "F", "N"]
    assert tasks.criterion.tolist()[1:] == [f"{__name__}:first_letter"] * 2
    assert find_groups(f"{__name__}:as_integers", found).matrix.dtype == bool
    with pytest.raises(OffmapError, match="describes 1 materials, not 3"):
        membership(found, [f"{__name__}:too_short"])
    with pytest.raises(UnknownNameError, match="did you mean 'element'"):
        membership(found, ["elements"])
