"""LeaveOneXOut inside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import check_cv, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from offmap.attributes import attributes
from offmap.crystals import Crystals
from offmap.datasets.base import Dataset
from offmap.errors import OffmapError
from offmap.representations.transformer import Featurizer
from offmap.tasks.splitter import LeaveOneXOut

FORMULAS = ["NaCl", "KCl", "NaF", "MgO", "CaO", "LiF"]
Y = np.arange(6.0)
NUMBERS = np.zeros((6, 1))


def test_groups_of_every_kind_give_the_same_splits() -> None:
    crystals = Crystals.from_formulas(FORMULAS, FORMULAS)
    cv = check_cv(LeaveOneXOut("element", min_size=1))
    expected = [(a.tolist(), b.tolist()) for a, b in cv.split(FORMULAS)]
    assert ([0, 1, 3, 4], [2, 5]) in expected
    for groups in (FORMULAS, np.array(FORMULAS), crystals, attributes(crystals)):
        found = [(a.tolist(), b.tolist()) for a, b in cv.split(NUMBERS, Y, groups)]
        assert found == expected
        assert cv.get_n_splits(NUMBERS, Y, groups) == len(expected) == 8
        options = {"groups": groups, "cv": cv, "scoring": "neg_mean_absolute_error"}
        assert cross_val_score(DummyRegressor(), NUMBERS, Y, **options).shape == (8,)
    assert cv.names(FORMULAS) == ["Li", "O", "F", "Na", "Mg", "Cl", "K", "Ca"]
    assert repr(cv) == "LeaveOneXOut(criterion='element', min_size=1)"


def test_sides_are_disjoint_and_large_enough(toy_dataset: Dataset) -> None:
    cv = LeaveOneXOut("crystal_system", min_size=150)
    for train, test in cv.split(toy_dataset.crystals):
        assert not set(train) & set(test)
        assert sorted([*train, *test]) == list(range(len(toy_dataset)))
        assert min(len(train), len(test)) >= 150


def test_crystals_through_a_whole_pipeline() -> None:
    crystals = Crystals.from_formulas(FORMULAS, FORMULAS)
    model = make_pipeline(Featurizer("magpie"), DecisionTreeRegressor(random_state=0))
    cv = LeaveOneXOut("n_elements", min_size=1)
    with pytest.raises(OffmapError, match="no task of criterion 'n_elements'"):
        list(cv.split(crystals))
    scoring = "neg_mean_absolute_error"
    cv = LeaveOneXOut("period", min_size=2)
    scores = cross_val_score(model, crystals, Y, cv=cv, scoring=scoring)
    assert scores.shape == (len(cv.names(crystals)),)
    assert np.isfinite(scores).all()
    assert cross_val_predict(model, crystals, Y, cv=3).shape == (6,)


@pytest.mark.parametrize("X", [NUMBERS, ["no formula"]])
def test_what_is_no_formula(X: object) -> None:
    with pytest.raises(OffmapError, match="needs formulas or crystals"):
        list(LeaveOneXOut(min_size=1).split(X))
    with pytest.raises(OffmapError, match="choose a smaller min_size"):
        list(LeaveOneXOut().split(FORMULAS))
