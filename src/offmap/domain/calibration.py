"""Thresholds that keep a stated false-alarm rate: conformal p-values from held-out rows.

Some materials are set aside from every training set. In a task they are in distribution: drawn like
the training rows, and not among them. The share of them that scores at least as far out as a test
material is its p-value; "p <= rate" then calls at most that share of in-distribution materials out
of domain, whatever the detector and the data (Bates, Candes, Lei, Romano & Sesia, Ann. Stat. 51,
149, 2023, doi 10.1214/22-AOS2244).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offmap.errors import DataError
from offmap.tasks.random import random_order

Array = NDArray[np.float64]

FALSE_ALARMS = 0.05
"""Share of in-distribution materials that may be called out of domain."""

_MOST = 1500
_SALT = 7919  # another order than that of the random folds


def calibration_rows(
    material_id: Sequence[str], seed: int = 0, most: int = _MOST
) -> NDArray[np.bool_]:
    """Mask of the materials that serve to calibrate: a tenth, at most ``most``; shape (n,).

    The choice depends on ids and seed alone.
    """
    mask = np.zeros(len(material_id), dtype=bool)
    mask[random_order(material_id, seed + _SALT)[: min(most, max(len(mask) // 10, 1))]] = True
    return mask


def p_values(scores: Array, calibration: Array) -> Array:
    """Share of calibration scores at least as large, counting the score itself; shape (n,).

    Parameters
    ----------
    scores
        Larger is further out, shape (n,).
    calibration
        Scores of held-out in-distribution materials, shape (m,).
    """
    ordered = np.sort(calibration)
    above = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((above + 1.0) / (len(ordered) + 1.0), dtype=np.float64)


def threshold(calibration: Array, rate: float = FALSE_ALARMS) -> float:
    """The score above which a material is out of domain: its p-value is then at most ``rate``.

    Raises
    ------
    DataError
        If there are too few calibration materials for this rate.
    """
    rank = int(np.floor(rate * (len(calibration) + 1)))
    if rank < 1:
        raise DataError(
            f"a false-alarm rate of {rate:g} needs at least {int(np.ceil(1 / rate)) - 1} materials "
            f"to calibrate on, and there are {len(calibration)}"
        )
    return float(np.sort(calibration)[-rank])


def standing(scores: Array, calibration: Array, rate: float = FALSE_ALARMS) -> Array:
    """Scores on a common scale: 0 at the median of the calibration rows, 1 at the threshold.

    Above 1 is out of domain at the stated false-alarm rate. Far values are compressed (by asinh),
    so that scores of different detectors can be averaged and learned from; their order is kept.

    Parameters
    ----------
    scores, calibration
        Larger is further out, shapes (n,) and (m,).
    rate
        Share of in-distribution materials that may be called out of domain.
    """
    edge = threshold(calibration, rate)
    width = edge - float(np.median(calibration))
    if width <= 0:  # more than half of the calibration rows score the same: count in their spread
        width = float(calibration.std()) or 1.0
    placed = np.arcsinh(1 + (scores - edge) / width) / np.arcsinh(1.0)
    return np.asarray(np.clip(placed, -5.0, 10.0), dtype=np.float64)
