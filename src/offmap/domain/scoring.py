"""Every detector on every task: what tasks share is computed once, the rest follows by subtraction.

Means and covariances are sums over materials, so the spaces of each training set come from those of
all materials minus the test rows; distances and kernel sums of the test and the calibration rows
are one blocked pass per task. The numbers equal those of a computation that only ever saw the
training rows of the task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offmap.domain.calibration import p_values
from offmap.domain.detectors import make_detector
from offmap.domain.learned import opinions
from offmap.domain.moments import Moments
from offmap.domain.reference import Reference, check_finite
from offmap.domain.two_sample import two_sample_auc
from offmap.errors import DataError

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Materials:
    """What the detectors are given, row by row the same materials.

    Parameters
    ----------
    X, y
        Features and labels, shapes (n, p) and (n,).
    test
        Test set of each task, shape (n, n_tasks), bool.
    calibration
        Materials that are in no training set and serve to calibrate, shape (n,), bool.
    seed
        Seed of everything random.
    """

    X: NDArray[np.float32]
    y: Array
    test: NDArray[np.bool_]
    calibration: NDArray[np.bool_]
    seed: int = 0

    def __post_init__(self) -> None:
        check_finite(self.X, "given")
        object.__setattr__(self, "X", np.ascontiguousarray(self.X, dtype=np.float32))

    def rows(self, task: int) -> tuple[Rows, Rows, Rows]:
        """Rows to learn from, to calibrate on and to judge, in one task."""
        test = self.test[:, task]
        return (
            np.flatnonzero(~test & ~self.calibration),
            np.flatnonzero(~test & self.calibration),
            np.flatnonzero(test),
        )


@dataclass(frozen=True, eq=False)
class TaskScores:
    """The detectors' scores in one task.

    Parameters
    ----------
    task
        Number of the task.
    test, calibration
        Rows that were judged, and calibrated on.
    scores, calibration_scores
        Detector -> score of those rows; larger is further out.
    opinions, calibration_opinions
        What simple models say of the labels of the same rows
        (:func:`offmap.domain.learned.opinions`).
    two_sample_auc
        How well test and train can be told apart.
    """

    task: int
    test: Rows
    calibration: Rows
    scores: dict[str, Array]
    calibration_scores: dict[str, Array]
    opinions: dict[str, Array]
    calibration_opinions: dict[str, Array]
    two_sample_auc: float = field(default=float("nan"))

    def p_values(self, detector: str) -> Array:
        """Conformal p-value of each test row under one detector, shape (n_test,)."""
        return p_values(self.scores[detector], self.calibration_scores[detector])


def score_tasks(
    materials: Materials,
    detectors: Sequence[str],
    tasks: Sequence[int] | None = None,
    jobs: int = 1,
) -> Iterator[TaskScores]:
    """Score the test and calibration rows of every task, in order.

    Parameters
    ----------
    materials
        Features, labels and tasks.
    detectors
        Names of detectors.
    tasks
        Numbers of tasks; by default all.
    jobs
        Tasks at once, as threads: the work is in compiled code that lets go of the interpreter.
    """
    everything = Moments.of(materials.X[~materials.calibration])
    chosen = range(materials.test.shape[1]) if tasks is None else tasks

    def work(task: int) -> TaskScores:
        return score_task(materials, task, detectors, everything)

    if jobs == 1:
        yield from map(work, chosen)
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(work, chosen)


def score_task(
    materials: Materials,
    task: int,
    detectors: Sequence[str],
    everything: Moments | None = None,
) -> TaskScores:
    """Score one task. ``everything`` is the moments of all rows that are not for calibration."""
    learn, calibration, test = materials.rows(task)
    if len(learn) < 2 or not len(test):
        raise DataError(f"task {task} has {len(learn)} training and {len(test)} test materials")
    y = materials.y[learn]
    X = materials.X[learn]
    moments = None
    if everything is not None:
        left_out = np.flatnonzero(materials.test[:, task] & ~materials.calibration)
        moments = everything - Moments.of(materials.X[left_out], everything.origin)
    train = Reference(X, y, None, moments, materials.seed)
    queries = materials.X[np.concatenate([test, calibration])]
    n = len(test)
    found = {name: make_detector(name).fit(train).score(queries) for name in detectors}
    said = opinions(train, queries)
    return TaskScores(
        task,
        test,
        calibration,
        {name: score[:n] for name, score in found.items()},
        {name: score[n:] for name, score in found.items()},
        {name: value[:n] for name, value in said.items()},
        {name: value[n:] for name, value in said.items()},
        two_sample_auc(X, queries[:n], materials.seed),
    )
