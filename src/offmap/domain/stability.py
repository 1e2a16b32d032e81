"""How much the verdict on a task moves when something is chosen otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from offmap.domain.analysis import DETECTORS, SIGNALS
from offmap.domain.calibration import FALSE_ALARMS, calibration_rows
from offmap.domain.detectors import Detector, KernelDensity, NearestNeighbours
from offmap.domain.scoring import Materials, score_task
from offmap.domain.verdicts import Combined, Standings

_SEEDS, _SUBSETS, _SHARE = 3, 3, 2 / 3


def stability(
    materials: Materials,
    task: int,
    detectors: Sequence[str] = (*DETECTORS, *SIGNALS),
    rate: float = FALSE_ALARMS,
) -> pd.DataFrame:
    """Coverage of one task over seeds, bandwidths, numbers of neighbours and feature sets.

    Parameters
    ----------
    materials
        Features, labels and tasks.
    task
        Number of the task.
    detectors
        Names of the detectors and signals that are combined.
    rate
        False-alarm rate.

    Returns
    -------
    DataFrame
        ``setting``, ``coverage``; the first row is the default.
    """
    rows = []
    for setting, changed, names in _settings(materials, tuple(detectors)):
        standings = Standings.of(score_task(changed, task, names), rate)
        coverage = 1 - Combined.mean(standings, rate).out_of_domain.mean()
        rows.append((setting, float(coverage)))
    return pd.DataFrame(rows, columns=["setting", "coverage"])


def _settings(
    materials: Materials, detectors: tuple[str, ...]
) -> Iterator[tuple[str, Materials, tuple[str, ...]]]:
    yield "default", materials, detectors
    rows = [str(i) for i in range(len(materials.y))]
    for seed in range(1, _SEEDS + 1):
        others = calibration_rows(rows, seed, int(materials.calibration.sum()))
        yield f"seed {seed}", replace(materials, calibration=others, seed=seed), detectors
    for word in ("narrow", "wide"):
        swap = {"kde": f"{__name__}:{word}_kde", "knn": f"{__name__}:{word}_knn"}
        yield f"{word} kernels", materials, tuple(swap.get(name, name) for name in detectors)
    p = materials.X.shape[1]
    for subset in range(1, _SUBSETS + 1):
        rng = np.random.default_rng(subset)
        columns = np.sort(rng.choice(p, max(int(_SHARE * p), 1), replace=False))
        part = replace(materials, X=materials.X[:, columns])
        yield f"two thirds of the features, draw {subset}", part, detectors


def narrow_kde() -> Detector:
    """Half the bandwidth."""
    return KernelDensity(0.5)


def wide_kde() -> Detector:
    """Twice the bandwidth."""
    return KernelDensity(2.0)


def narrow_knn() -> Detector:
    """The 5th neighbour."""
    return NearestNeighbours(5)


def wide_knn() -> Detector:
    """The 20th neighbour."""
    return NearestNeighbours(20)
