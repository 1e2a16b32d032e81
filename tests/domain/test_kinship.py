"""Errors that follow the periodic table are foretold from the neighbours in it."""

import numpy as np
import pytest

from offmap.domain.kinship import Kin, forecasts
from offmap.domain.substitution import Compositions, properties
from offmap.elements import N_ELEMENTS, NUMBERS, SYMBOLS

METALS = [z for z in range(21, 80) if SYMBOLS[z] not in ("Kr", "Xe", "Br", "I", "Se", "Te")]


@pytest.fixture(scope="module")
def compositions() -> Compositions:
    """Binaries of metals with O or Cl; the label falls with the metal's electronegativity."""
    rng = np.random.default_rng(0)
    fractions = np.zeros((4000, N_ELEMENTS), dtype=np.float32)
    metal = rng.choice(METALS, len(fractions))
    anion = rng.choice([8, 17], len(fractions))
    share = rng.uniform(0.2, 0.8, len(fractions))
    rows = np.arange(len(fractions))
    fractions[rows, metal], fractions[rows, anion] = share, 1 - share
    y = properties()[metal, 2] * share * (1 - share) * 4
    return Compositions(fractions, y)


def test_normal_equations_are_those_of_the_training_rows(compositions: Compositions) -> None:
    test = compositions.fractions[:, NUMBERS["Fe"]] > 0
    alone = Compositions(compositions.fractions[~test], compositions.y[~test])
    alone.used = compositions.used
    nobody = np.zeros(int((~test).sum()), dtype=bool)
    np.testing.assert_allclose(compositions.fit(test), alone.fit(nobody), atol=1e-3)


def test_a_new_element_becomes_its_neighbours(compositions: Compositions) -> None:
    test = compositions.fractions[:, NUMBERS["Zr"]] > 0
    assert compositions.new_elements(test).tolist() == [NUMBERS["Zr"]]
    replaced = compositions.replaced(test, np.flatnonzero(test))
    assert replaced.shape == (test.sum(), 8)
    # Hafnium stands first and acts alike.
    np.testing.assert_allclose(replaced[:, 0], compositions.y[test], atol=0.2)


def test_nothing_is_new_in_a_random_part(compositions: Compositions) -> None:
    test = np.random.default_rng(1).random(len(compositions.y)) < 0.2
    assert len(compositions.new_elements(test)) == 0


@pytest.fixture(scope="module")
def kindred() -> tuple[list[Kin], np.ndarray]:
    rng = np.random.default_rng(0)
    test = np.zeros((40 * len(METALS), len(METALS)), dtype=bool)
    found = []
    for task, z in enumerate(METALS):
        place, rows = properties()[z], np.arange(40) + 40 * task
        test[rows, task] = True
        error = np.exp(place[2] + 0.5 * place[1]) * rng.uniform(0.5, 1.5, 40)
        found.append(Kin(task, place, rng.normal(size=2), rows, error))
    return found, test


def test_errors_are_foretold_from_akin_tasks(kindred: tuple[list[Kin], np.ndarray]) -> None:
    members, test = kindred
    found = forecasts(members, test)
    truth = np.array([k.error.mean() for k in members])
    expected = np.array([found[k.task][0] for k in members])
    assert np.corrcoef(np.log(truth), np.log(expected))[0, 1] > 0.8
    assert all(deviation > 1 for _, deviation in found.values())


def test_neither_a_task_nor_its_materials_are_used(kindred: tuple[list[Kin], np.ndarray]) -> None:
    members, test = kindred
    shared = test.copy()
    # Half of the materials of the second task are in the test set of the first as well.
    shared[members[1].rows[:20], 0] = True
    spoiled = np.array(members[1].error)
    spoiled[:20] = 1e6
    changed = [members[0], Kin(1, members[1].place, members[1].signals, members[1].rows, spoiled)]
    own = Kin(0, members[0].place, members[0].signals, members[0].rows, members[0].error * 100)
    before = forecasts(members, shared)[0]
    assert forecasts([own, changed[1], *members[2:]], shared)[0] == before


def test_a_few_tasks_teach_nothing(kindred: tuple[list[Kin], np.ndarray]) -> None:
    members, test = kindred
    assert forecasts(members[:8], test) == {}
