"""From calibrated scores to verdicts: one per material, one per task, with how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.domain.calibration import FALSE_ALARMS, standing, threshold
from offmap.domain.scoring import TaskScores
from offmap.scores import Resamples, percentile_interval

Array = NDArray[np.float64]

EXTRAPOLATION, PARTIAL, INTERPOLATION = "extrapolation", "partial", "interpolation"

# Standings count up to this in their mean.
_FURTHEST = 3.0
# Shares of the test set in domain that part the three verdicts.
_PARTIAL_FROM, _INTERPOLATION_FROM = 1 / 3, 2 / 3


@dataclass(frozen=True, eq=False)
class Standings:
    """Where the test and calibration rows of a task stand, on the common scale of all detectors.

    Parameters
    ----------
    names
        Detectors, in the order of the columns.
    test, calibration
        Standings, shapes (n_test, n_detectors) and (n_calibration, n_detectors); above 1 is out.
    """

    names: tuple[str, ...]
    test: Array
    calibration: Array

    @classmethod
    def of(cls, scores: TaskScores, rate: float = FALSE_ALARMS) -> Standings:
        """Bring every detector's scores to the common scale."""
        held_out = scores.calibration_scores
        sides = [
            np.column_stack([standing(side[name], held_out[name], rate) for name in held_out])
            for side in (scores.scores, held_out)
        ]
        return cls(tuple(held_out), *sides)

    def columns(self, names: tuple[str, ...]) -> Standings:
        """Only some detectors."""
        which = [self.names.index(name) for name in names if name in self.names]
        return Standings(
            tuple(self.names[i] for i in which), self.test[:, which], self.calibration[:, which]
        )


@dataclass(frozen=True, eq=False)
class Combined:
    """One score per material from all detectors, calibrated again as a whole.

    Parameters
    ----------
    score, calibration
        Of test and calibration rows; larger is further out.
    rate
        False-alarm rate.
    """

    score: Array
    calibration: Array
    rate: float = FALSE_ALARMS

    @classmethod
    def mean(cls, standings: Standings, rate: float = FALSE_ALARMS) -> Combined:
        """The mean standing of detectors and signals: the verdict where no error model is known.

        No detector counts more than thrice its threshold: else the spread of a few calibration
        rows, in which its scale is given, would decide.
        """
        test, calibration = (
            np.clip(side, -_FURTHEST, _FURTHEST).mean(axis=1)
            for side in (standings.test, standings.calibration)
        )
        return cls(test, calibration, rate)

    @property
    def threshold(self) -> float:
        """Score above which a material is out of domain."""
        return threshold(self.calibration, self.rate)

    @property
    def out_of_domain(self) -> NDArray[np.bool_]:
        """Verdict per test row, shape (n_test,)."""
        out: NDArray[np.bool_] = self.score > self.threshold
        return out


def verdict(coverage: float) -> str:
    """``extrapolation`` below a third in domain, ``interpolation`` from two thirds."""
    if coverage < _PARTIAL_FROM:
        return EXTRAPOLATION
    return INTERPOLATION if coverage >= _INTERPOLATION_FROM else PARTIAL


def task_verdict(
    standings: Standings,
    combined: Combined,
    systems: NDArray[np.object_],
    n_bootstrap: int,
    confidence: float,
    seed: int = 0,
) -> dict[str, object]:
    """The verdict on one task.

    Parameters
    ----------
    standings, combined
        Of its test and calibration rows.
    systems
        Chemical system of each test row, by which resamples are drawn, shape (n_test,).
    n_bootstrap, confidence
        Resamples behind the interval of the coverage, and its nominal coverage.

    Returns
    -------
    dict
        ``coverage`` with its interval, ``verdict``, ``sure`` (the whole interval gives the same
        verdict), ``agreement`` (mean share of detectors that side with the verdict on a material),
        ``coverage_least`` and ``coverage_most`` over the variants of :func:`variants`, and
        ``coverage_<detector>`` for each detector alone.
    """
    inside = ~combined.out_of_domain
    coverage = float(inside.mean())
    resamples = Resamples.draw(systems, n_bootstrap, seed)
    sums = resamples.sums(np.column_stack([np.ones(len(inside)), inside]))
    share = sums[:, 1] / np.maximum(sums[:, 0], 1)
    low, high = percentile_interval(share, confidence, resamples.weights.shape[1])
    votes = standings.test > 1
    others = list(variants(standings, combined, seed).values())
    return {
        "coverage": coverage,
        "coverage_low": low,
        "coverage_high": high,
        "verdict": verdict(coverage),
        "sure": verdict(low) == verdict(high),
        "agreement": float((votes == ~inside[:, None]).mean()),
        "coverage_least": min([coverage, *others]),
        "coverage_most": max([coverage, *others]),
        **{
            f"coverage_{name}": float(1 - votes[:, i].mean())
            for i, name in enumerate(standings.names)
        },
    }


def variants(standings: Standings, combined: Combined, seed: int = 0) -> dict[str, float]:
    """Coverage of a task when what could have been chosen otherwise is.

    The calibration rows are halved, twice over.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for repeat in range(2):
        order = rng.permutation(len(combined.calibration))
        for half, rows in enumerate(np.array_split(order, 2)):
            if np.floor(combined.rate * (len(rows) + 1)) >= 1:
                part = Combined(combined.score, combined.calibration[rows], combined.rate)
                found[f"calibration {repeat + 1}.{half + 1}"] = float(1 - part.out_of_domain.mean())
    return found


def long_form(domain: pd.DataFrame, detectors: tuple[str, ...]) -> pd.DataFrame:
    """The wide table ``domain`` as one row per material and detector.

    Returns
    -------
    DataFrame
        Keys, ``detector``, ``score`` (standing), ``threshold`` (1) and ``out_of_domain``.
    """
    keys = [
        c
        for c in ("representation", "model", "criterion", "held_out", "material_id")
        if c in domain
    ]
    long = domain.melt(keys, list(detectors), "detector", "score")
    return long.assign(
        detector=long["detector"].astype("category"), threshold=1.0, out_of_domain=long["score"] > 1
    )
