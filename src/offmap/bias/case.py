"""One task as the analysis sees it: who was tested, what was predicted, how materials look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.bias.descriptors import STRUCTURE, counted_as

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """How errors are taken apart.

    Parameters
    ----------
    faithful
        The study's own procedure: XGBoost at its settings for model and residual model, on
        descriptors that are pruned across parts, in-sample residuals of the training materials.
    local_difference
        What LocalPropertyDifference counts as: ``"structure"`` or ``"composition"``.
    correlation
        Descriptors are pruned until no pair has this absolute Pearson correlation.
    checks
        Whether the honesty checks are made: permutation null, ablation, interventional SHAP.
    n_permutations
        Shuffles of the residuals behind the null.
    n_background
        Training materials behind the interventional values.
    n_bootstrap, confidence, seed
        Resamples behind each interval, its nominal coverage, and the seed of everything random.
    """

    faithful: bool = False
    local_difference: str = STRUCTURE
    correlation: float = 0.7
    checks: bool = True
    n_permutations: int = 19
    n_background: int = 100
    n_bootstrap: int = 200
    confidence: float = 0.95
    seed: int = 0

    @property
    def method(self) -> str:
        """``"study"`` or ``"offmap"``."""
        return "study" if self.faithful else "offmap"

    @property
    def blocks(self) -> dict[str, tuple[int, ...]]:
        """Parts that make up composition and structure."""
        return counted_as(self.local_difference)


@dataclass(frozen=True, eq=False)
class Case:
    """One task and model.

    Parameters
    ----------
    train, test
        Rows of the materials, complete descriptors only.
    y_true, y_pred
        Labels and predictions of all materials, shape (n,); predictions are of models that had
        not seen the material (in faithful mode the training rows are in-sample).
    X, part
        Pruned descriptors, shape (n, p), and their part.
    X_all, part_all
        Descriptors before pruning.
    system
        Chemical system of all materials, shape (n,).
    xgb_settings
        Settings of the study's XGBoost that the user replaced.
    threads
        Threads of one fit.
    """

    train: Rows
    test: Rows
    y_true: Array
    y_pred: Array
    X: NDArray[np.float32]
    part: NDArray[np.int64]
    X_all: NDArray[np.float32]
    part_all: NDArray[np.int64]
    system: NDArray[np.object_]
    xgb_settings: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1

    @property
    def residual(self) -> Array:
        """True minus predicted, the study's sign: what is to be added to mend a prediction."""
        difference: Array = self.y_true - self.y_pred
        return difference

    @property
    def known(self) -> Rows:
        """Training rows that have a prediction, in order."""
        return self.train[np.isfinite(self.y_pred[self.train])]

    def rng(self, settings: Settings, purpose: int) -> np.random.Generator:
        """Random numbers of one purpose: the same whatever else is drawn."""
        return np.random.default_rng([settings.seed, purpose])
