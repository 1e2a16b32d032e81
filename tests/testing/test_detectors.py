"""Built-in detectors fit; flaws of others are found."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest

from offmap.domain.reference import Reference
from offmap.registry import TABLES
from offmap.testing import check_detector

# UMAP takes 20 s for its compilation alone.
_SLOW = {"umap"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else [])
        for name in TABLES["detector"]
    ],
)
def test_every_built_in_detector_fits(name: str) -> None:
    check_detector(name)


class FromMean:
    """Distance to the mean of the training set, with one flaw, chosen by name."""

    flaw = ""

    def fit(self, train: Reference) -> Self:
        if self.flaw == "labels":
            assert train.y is not None
            train.y.sum()
        self.mean = train.X.mean(axis=0)
        if self.flaw == "writes":
            train.X[0] = 0
        return self

    def score(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.linalg.norm(X - self.mean, axis=1)
        match self.flaw:
            case "shape":
                return found[:, None]
            case "nan":
                found[0] = np.nan
            case "random":
                found += np.random.default_rng().normal(size=len(found))
            case "batch":
                found = found.argsort().argsort().astype(float)
            case "down":
                return -found
            case "constant":
                return np.zeros(len(found))
        return found


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("writes", "changes the arrays"),
        ("shape", r"score gives shape \(120, 1\)"),
        ("nan", "numbers not finite"),
        ("random", "same seed gives other scores"),
        ("batch", "with the other materials in the call"),
        ("down", "larger must be further out"),
        ("labels", "without labels it fails: AssertionError"),
    ],
)
def test_flaws_of_detectors_are_found(flaw: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_detector(type("Flawed", (FromMean,), {"flaw": flaw}))


def test_what_is_no_detector_is_found() -> None:
    with pytest.raises(AssertionError, match="has no fit and no score"):
        check_detector(dict)


def test_a_detector_without_flaw_and_what_is_worth_knowing() -> None:
    found = check_detector(FromMean)
    assert "100% of planted pairs are ordered" in found.held
    assert not found.remarks
    constant = type("Constant", (FromMean,), {"flaw": "constant"})
    assert "measures something else" in check_detector(constant).remarks[0]
    assert "labels" in " ".join(check_detector("neighbour_error").remarks)


def test_a_remark_says_what_it_is_about() -> None:
    given: Any = check_detector(FromMean)
    assert str(given).startswith("detector 'tests.testing.test_detectors:FromMean' fits: ")
