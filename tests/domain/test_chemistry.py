"""What a material is made of bears on the error, and finished tasks say how."""

import numpy as np
import pytest

from offmap.domain.chemistry import N_NUMBERS, describe, gaps
from offmap.domain.error_model import Examples, leave_task_out
from offmap.domain.head_to_head import rank_correlation
from offmap.domain.substitution import Compositions, properties
from offmap.domain.two_sample import area
from offmap.elements import N_ELEMENTS, NUMBERS, SYMBOLS

METALS = [z for z in range(21, 80) if SYMBOLS[z] not in ("Kr", "Xe", "Br", "I", "Se", "Te")]


@pytest.fixture(scope="module")
def compositions() -> Compositions:
    """Binaries of metals with O or Cl; the label depends on metal and anion."""
    rng = np.random.default_rng(0)
    fractions = np.zeros((4000, N_ELEMENTS), dtype=np.float32)
    metal, anion = rng.choice(METALS, len(fractions)), rng.choice([8, 17], len(fractions))
    share, rows = rng.uniform(0.2, 0.8, len(fractions)), np.arange(len(fractions))
    fractions[rows, metal], fractions[rows, anion] = share, 1 - share
    return Compositions(fractions, properties()[metal, 2] * share * (1 - share) * 4)


def test_a_new_element_is_described_with_its_company(compositions: Compositions) -> None:
    test = compositions.fractions[:, NUMBERS["Zr"]] > 0
    rows = np.flatnonzero(test)
    found = describe(compositions, test, rows, compositions.y[rows], True)
    assert found.shape == (len(rows), N_NUMBERS)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 0], compositions.fractions[rows, NUMBERS["Zr"]], rtol=1e-6)
    expected = np.tile(properties()[NUMBERS["Zr"]], (len(rows), 1))
    np.testing.assert_allclose(found[:, 1:5], expected, rtol=1e-6)
    replaced = compositions.replaced(test, rows)
    change = np.abs(replaced - compositions.y[rows][:, None]).max(axis=1)
    np.testing.assert_allclose(gaps(found), change, rtol=1e-6)


def test_without_new_elements_only_the_company_is_known(compositions: Compositions) -> None:
    test = np.random.default_rng(1).random(len(compositions.y)) < 0.2
    rows = np.flatnonzero(test)
    found = describe(compositions, test, rows, np.zeros(len(rows)), False)
    assert (found[:, 0] == 0).all()
    assert np.isnan(gaps(found)).all()
    oxygen = found[:, 6 + 5 + 3]
    np.testing.assert_allclose(oxygen, compositions.fractions[rows, 8], rtol=1e-6)


def test_labels_of_the_test_set_change_nothing(compositions: Compositions) -> None:
    test = compositions.fractions[:, NUMBERS["Zr"]] > 0
    rows = np.flatnonzero(test)
    spoiled = Compositions(compositions.fractions, np.where(test, 1e3, compositions.y))
    y_pred = np.zeros(len(rows))
    np.testing.assert_allclose(
        describe(spoiled, test, rows, y_pred, True),
        describe(compositions, test, rows, y_pred, True),
        atol=1e-3,
    )


def test_errors_that_follow_the_company_are_found(compositions: Compositions) -> None:
    """Oxides go wrong, chlorides do not, and no detector knows: the error model learns it."""
    rng = np.random.default_rng(2)
    parts = []
    for task, z in enumerate(METALS[:24]):
        test = compositions.fractions[:, z] > 0
        rows = np.flatnonzero(test)
        context = describe(compositions, test, rows, compositions.y[rows], True)
        is_oxide = compositions.fractions[rows, 8] > 0
        error = np.where(is_oxide, 0.5, 0.05) * rng.exponential(size=len(rows))
        features = rng.normal(size=(len(rows), 2))
        parts.append((features, error, np.full(len(rows), task), rows, context))
    known = Examples(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    assert known.context is not None
    for task, model in leave_task_out(known, [0, 11, 23]):
        mine = known.task == task
        expected = model.predict(known.features[mine], known.context[mine])
        assert area(expected, known.error[mine] > 0.2) > 0.75
        assert rank_correlation(expected, known.error[mine]) > 0.4
