"""What error to expect of a task, learned from the tasks that are akin to it.

Tasks that leave out neighbours in the periodic table go wrong alike. The mean absolute errors of
the finished tasks of one criterion are smoothed over the place of their new elements (a Gaussian
process), starting from what the scores of the task's own materials say. Judged leave-task-out:
neither a task nor any material of its test set is used for its forecast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from offmap.domain.chemistry import CHEMICAL, gaps
from offmap.domain.error_model import FEWEST_TASKS
from offmap.domain.judge import Context, Judged
from offmap.domain.substitution import Compositions, properties
from offmap.domain.verdicts import Combined
from offmap.inputs import Inputs

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

# What the smoothing may choose from: reach in the periodic table (standard deviations of the
# properties), weight of the task's own scores, and noise of a task, all in units of the spread of
# the logarithm of the error.
_REACH = (0.3, 0.5, 0.8, 1.3)
_OWN = (0.1, 0.3, 1.0)
_NOISE = (0.05, 0.1, 0.2, 0.4)
# Materials of a task that must remain.
_FEWEST = 20
_LEVEL = 10.0


@dataclass(frozen=True, eq=False)
class Kin:
    """A finished task as its kin see it.

    Parameters
    ----------
    task
        Number of the task.
    place
        Mean properties of its new elements, shape (n_properties,).
    signals
        Logarithms of what its own materials say, shape (n_signals,).
    rows, error
        Its test materials and their absolute errors, shapes (n_test,).
    """

    task: int
    place: Array
    signals: Array
    rows: Rows
    error: Array

    def log_mae(self, without: NDArray[np.bool_]) -> float:
        """Logarithm of the mean absolute error over materials that are not in a mask, or NaN."""
        kept = self.error[~without[self.rows]]
        return float(np.log(kept.mean())) if len(kept) >= _FEWEST else float("nan")


def kin(
    compositions: Compositions,
    task: int,
    test: NDArray[np.bool_],
    gap: Array,
    expected: Array,
    error: Array,
) -> Kin | None:
    """Describe a task by its new elements; None if it has none.

    Parameters
    ----------
    compositions
        Of all materials.
    task, test
        Number of the task, and mask of its test set, shape (n,).
    gap, expected, error
        How far the prediction lies from what replacements give, expected and true absolute error of
        its test rows, shape (n_test,).
    """
    new, rows = compositions.new_elements(test), np.flatnonzero(test)
    if not len(new):
        return None
    weight = compositions.fractions[rows][:, new].sum(axis=0)
    place = (properties()[new] * (weight / weight.sum())[:, None]).sum(axis=0)
    signals = np.log(np.array([gap.mean(), expected.mean()]))
    return Kin(task, place, signals, rows, error)


def forecasts(kindred: Sequence[Kin], test: NDArray[np.bool_]) -> dict[int, tuple[float, float]]:
    """Expected mean absolute error of each task, leave-task-out.

    Parameters
    ----------
    kindred
        Finished tasks of one criterion.
    test
        Test set of each task, shape (n, n_tasks).

    Returns
    -------
    dict
        Task -> forecast and its standard deviation as a factor; empty if there are too few tasks.
    """
    if len(kindred) <= FEWEST_TASKS:
        return {}
    return {
        one.task: _forecast([k for k in kindred if k is not one], one, test[:, one.task])
        for one in kindred
    }


def _forecast(others: Sequence[Kin], one: Kin, mine: NDArray[np.bool_]) -> tuple[float, float]:
    y = np.array([k.log_mae(mine) for k in others])
    known = np.isfinite(y)
    others = [k for k, ok in zip(others, known, strict=True) if ok]
    y = y[known]
    centre, scale = y.mean(), max(float(y.std()), 1e-9)
    place = np.stack([k.place for k in (*others, one)])
    signals = np.stack([k.signals for k in (*others, one)])
    signals = (signals - signals[:-1].mean(axis=0)) / np.maximum(signals[:-1].std(axis=0), 1e-9)
    squared = ((place[:, None] - place[None]) ** 2).mean(axis=2)
    own = signals @ signals.T / signals.shape[1]
    # Two views, the table alone and with the task's own scores, are better than either.
    views = [_smooth(squared, part, (y - centre) / scale) for part in (np.zeros_like(own), own)]
    mean, deviation = np.mean(views, axis=0)
    return float(np.exp(centre + scale * mean)), float(np.exp(scale * deviation))


def _smooth(squared: Array, own: Array, y: Array) -> tuple[float, float]:
    """Mean and standard deviation of the last row, with the settings that serve the others best."""
    n, best = len(y), (np.inf, 0.0, 0.0)
    for reach, weight, noise in product(_REACH, _OWN, _NOISE):
        kernel = np.exp(-squared / (2 * reach**2)) + weight * own + _LEVEL
        inverse = np.linalg.inv(kernel[:n, :n] + noise * np.eye(n))
        towards = inverse @ kernel[:n, n]
        # Errors of leaving out one of the others (Rasmussen & Williams, 2006, eq. 5.12).
        left_out = (inverse @ y) / np.diag(inverse)
        variance = kernel[n, n] - kernel[:n, n] @ towards + noise
        loss = float((left_out**2).mean())
        best = min(best, (loss, float(towards @ y), float(np.sqrt(max(variance, 1e-12)))))
    return best[1], best[2]


def expected_maes(
    inputs: Inputs,
    judged: Sequence[Judged],
    expected: Mapping[int, Combined],
    compositions: Compositions,
    contexts: Mapping[int, Context],
    criterion: Sequence[str],
) -> dict[int, float]:
    """Expected mean absolute error of each finished task.

    That of its kin where the test set has elements that training lacks; else the mean of the
    expected errors of its materials.
    """
    mean = {j.scores.task: float(expected[j.scores.task].score.mean()) for j in judged
            if j.scores.task in expected}  # fmt: skip
    test = inputs.kept()[1].matrix
    kindred: dict[str, list[Kin]] = {}
    for one in (j for j in judged if j.scores.task in mean and j.error is not None):
        task, ok = one.scores.task, np.isfinite(np.asarray(one.error))
        if criterion[task] not in CHEMICAL or not ok.all():
            continue
        found = kin(
            compositions, task, test[:, task], gaps(contexts[task].test), expected[task].score,
            np.asarray(one.error),
        )  # fmt: skip
        if found is not None:
            kindred.setdefault(criterion[task], []).append(found)
    for members in kindred.values():
        mean |= {task: value for task, (value, _) in forecasts(members, test).items()}
    return mean
