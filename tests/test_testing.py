"""The checks that are shipped find what is wrong, and pass what is built in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, Ridge

from offmap.attributes import Attributes
from offmap.crystals import Crystals
from offmap.registry import TABLES
from offmap.representations.base import Features
from offmap.tasks.membership import Groups
from offmap.testing import (
    check_criterion,
    check_model,
    check_representation,
    example_crystals,
)


class Forgetful(RegressorMixin, BaseEstimator):
    """A regressor with one flaw, chosen by name."""

    flaw = ""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Forgetful:
        if self.flaw == "writes":
            X[0] += 1
        self.ridge_ = Ridge().fit(X, y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.ridge_.predict(X)
        match self.flaw:
            case "shape":
                return found[:, None]
            case "nan":
                return np.where(found > found.mean(), found, np.nan)
            case "random":
                return found + np.random.default_rng().normal(size=len(found)) * 1e-3
            case "batch":
                return found - found.mean()
            case "worse":
                return -found
        return found


class Unclonable(Ridge):
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha * 2)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("writes", "changes the arrays"),
        ("shape", r"predict gives shape \(120, 1\)"),
        ("nan", "numbers not finite"),
        ("random", "same seed gives other predictions"),
        ("batch", "depends on the other materials"),
        ("worse", "worse than the mean"),
    ],
)
def test_flaws_of_models_are_found(flaw: str, message: str) -> None:
    model = type("Flawed", (Forgetful,), {"flaw": flaw})
    with pytest.raises(AssertionError, match=message):
        check_model(model)


def test_models_that_are_not_of_scikit_learn_are_found() -> None:
    with pytest.raises(AssertionError, match="clone"):
        check_model(Unclonable)
    with pytest.raises(AssertionError, match="not a scikit-learn regressor"):
        check_model(dict)
    with pytest.raises(AssertionError, match="does not take these settings"):
        check_model(Ridge, {"apha": 1})


def test_a_model_without_flaw_and_what_is_worth_knowing() -> None:
    found = check_model(LinearRegression)
    assert "a seed reproduces" in found.held
    assert "SimpleImputer" in found.remarks[0]
    assert str(found).startswith("model 'sklearn.linear_model._base:LinearRegression' fits: ")


def test_a_model_of_crystals() -> None:
    class OfCrystals(BaseEstimator):
        consumes = "crystals"

        def fit(self, X: Crystals, y: np.ndarray) -> OfCrystals:
            self.ridge_ = Ridge().fit(X.counts, y)
            return self

        def predict(self, X: Crystals) -> np.ndarray:
            found: np.ndarray = self.ridge_.predict(X.counts)
            return found

    check_model(OfCrystals)


@pytest.mark.parametrize("name", TABLES["criterion"])
def test_every_built_in_criterion_fits(name: str) -> None:
    check_criterion(name)


def by_first_row(attributes: Attributes) -> list[bool]:
    formula = attributes.frame["formula"]
    return (formula == formula.iloc[0]).tolist()


def too_short(attributes: Attributes) -> list[int]:
    return [1, 2, 3]


def repeated(attributes: Attributes) -> Groups:
    matrix = np.ones((len(attributes), 2), dtype=bool)
    matrix[0] = False
    return Groups(("a", "a"), matrix)


def failing(attributes: Attributes) -> Any:
    return attributes.frame["spacegroup"]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (by_first_row, "depend on the order"),
        (too_short, r"shape \(3, 3\) for 72 materials"),
        (repeated, "not unique"),
        (failing, "grouping materials fails: KeyError: 'spacegroup'"),
    ],
)
def test_flaws_of_criteria_are_found(criterion: Callable[..., Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_criterion(criterion)


def test_criteria_that_group_nothing_are_remarked_on() -> None:
    assert "no example crystal" in check_criterion(lambda a: [None] * len(a)).remarks[0]


@pytest.mark.parametrize("name", TABLES["representation"])
def test_every_built_in_representation_fits(name: str) -> None:
    check_representation(name)


class Density:
    """Volume and number of sites, with one flaw, chosen by name."""

    name, version, needs_structure = "density", 1, True
    columns: tuple[str, ...] = ("volume_per_atom", "n_sites")
    blocks = {"structure": ("volume_per_atom", "n_sites")}
    flaw = ""

    def featurize(self, crystals: Crystals) -> Features:
        volume = np.abs(np.linalg.det(crystals.lattice)) / crystals.n_sites
        values = np.column_stack([volume, crystals.n_sites]).astype(np.float64)
        match self.flaw:
            case "order":
                values[:, 0] = np.arange(len(values))
            case "batch":
                values[:, 0] -= values[:, 0].mean()
            case "random":
                values[:, 0] += np.random.default_rng().normal(size=len(values))
            case "shape":
                values = values[:, :1]
            case "type":
                values = values.astype(np.float32)
            case "nan":
                values[3:4] = np.nan
            case "infinite":
                values[3:4, 0] = np.inf
            case "lattice":
                values[:, 0] = crystals.lattice[:, 0, 0]
        return Features(values, self.columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flaw": "order"}, "order of the crystals"),
        ({"flaw": "batch"}, "other crystals of the batch"),
        ({"flaw": "random"}, "not deterministic"),
        ({"flaw": "shape"}, r"values have shape \(72, 1\)"),
        ({"flaw": "type"}, "float32, not float64"),
        ({"flaw": "nan"}, r"without a reason: \[3\]"),
        ({"flaw": "infinite"}, "infinite values in .*volume_per_atom"),
        ({"columns": ("a", "a")}, "column names repeat"),
        ({"blocks": {"all": ("mass",)}}, r"blocks name other columns: \['mass'\]"),
        ({"needs_structure": False, "flaw": "bare"}, "without structures"),
        ({"blocks": property(lambda self: self.nothing)}, "has no blocks"),
    ],
)
def test_flaws_of_representations_are_found(change: dict[str, Any], message: str) -> None:
    class Bare(Density):
        def featurize(self, crystals: Crystals) -> Features:
            if self.flaw == "bare" and not crystals.has_structure:
                raise ValueError("no lattice")
            return super().featurize(crystals)

    flawed = type("Flawed", (Bare,), change)
    with pytest.raises(AssertionError, match=message):
        check_representation(flawed)


def test_a_representation_without_flaw_and_what_is_worth_knowing() -> None:
    assert not check_representation(Density).remarks
    turned = type("Lattice", (Density,), {"flaw": "lattice"})
    assert check_representation(turned).remarks == ["values change when the crystal is turned"]


def test_example_crystals_are_of_three_kinds() -> None:
    crystals = example_crystals()
    assert len(crystals) == 72
    assert len(set(crystals.formula)) == 24
