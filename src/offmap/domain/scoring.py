"""Every detector on every task: what tasks share is computed once, the rest follows by subtraction.

With an anchor, neighbours are listed once and each task passes over its test set. Without one,
spaces are those of each training set: means and covariances are sums over materials, and follow
from those of all materials minus the test rows. The numbers equal those of a computation that only
ever saw the training rows of the task (and the anchor).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap import registry
from offmap.domain.anchor import Anchor
from offmap.domain.calibration import p_values
from offmap.domain.detectors import SIGNALS
from offmap.domain.learned import opinions
from offmap.domain.moments import Moments
from offmap.domain.reference import Reference, check_finite
from offmap.domain.task_reference import Shared, TaskReference
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
    anchor
        Materials outside the study in whose terms tasks are measured; by default each training set
        has terms of its own.
    """

    X: NDArray[np.float32]
    y: Array
    test: NDArray[np.bool_]
    calibration: NDArray[np.bool_]
    seed: int = 0
    anchor: Anchor | None = None

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
        (:func:`offmap.domain.learned.opinions`); nothing unless a signal was asked for.
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
    common = Common.of(materials, jobs)
    chosen = range(materials.test.shape[1]) if tasks is None else tasks

    def work(task: int) -> TaskScores:
        return score_task(materials, task, detectors, common)

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
    common: Common | None = None,
    asked: Rows | None = None,
) -> TaskScores:
    """Score one task.

    Parameters
    ----------
    materials, task, detectors
        As in :func:`score_tasks`.
    common
        What is computed once for all tasks, if there are many.
    asked
        Test and calibration rows to score, ascending; by default all.

    Raises
    ------
    DataError
        If there is nothing to learn from or to score.
    """
    learn, calibration, test = materials.rows(task)
    if asked is not None:
        calibration, test = np.intersect1d(calibration, asked), np.intersect1d(test, asked)
    if len(learn) < 2 or not len(test):
        raise DataError(f"task {task} has {len(learn)} training and {len(test)} test materials")
    rows = np.concatenate([test, calibration])
    queries = materials.X[rows]
    train = _reference(materials, task, learn, common, rows, queries)
    n = len(test)
    make = common.make if common else lambda name: registry.load("detector", name)
    found = {name: make(name)().fit(train).score(queries) for name in detectors}
    said = opinions(train, queries) if set(detectors) & set(SIGNALS) else {}
    return TaskScores(
        task,
        test,
        calibration,
        {name: score[:n] for name, score in found.items()},
        {name: score[n:] for name, score in found.items()},
        {name: value[:n] for name, value in said.items()},
        {name: value[n:] for name, value in said.items()},
        _distinct(materials, train.X, task),
    )


def _distinct(materials: Materials, learn: NDArray[np.float32], task: int) -> float:
    columns = materials.anchor.top if materials.anchor else None
    test = materials.X[materials.test[:, task]]
    return two_sample_auc(learn, test, materials.seed, columns=columns)


def _reference(
    materials: Materials,
    task: int,
    learn: Rows,
    common: Common | None,
    rows: Rows,
    queries: NDArray[np.float32],
) -> Reference:
    X, y, seed = materials.X[learn], materials.y[learn], materials.seed
    if common is None:
        return Reference(X, y, None, None, seed, materials.anchor)
    held_out = np.ascontiguousarray(materials.test[:, task])
    left_out = np.flatnonzero(held_out & ~materials.calibration)
    moments = common.moments - Moments.of(materials.X[left_out], common.moments.origin)
    if common.shared is None:
        return Reference(X, y, None, moments, seed)
    return TaskReference(X, y, moments, seed, common.shared, learn, held_out, rows, queries)


@dataclass(frozen=True, eq=False)
class Common:
    """What is computed once for all tasks.

    Parameters
    ----------
    moments
        Of all rows that are not for calibration.
    shared
        Neighbours and bins in terms of the anchor, if there is one.
    """

    moments: Moments
    shared: Shared | None = None
    _made: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, materials: Materials, jobs: int = 1) -> Common:
        """Compute it."""
        usable = ~materials.calibration
        shared = None
        if materials.anchor is not None:
            shared = Shared(materials.X, usable, materials.anchor, jobs)
        return cls(Moments.of(materials.X[usable]), shared)

    def make(self, name: str) -> Any:
        """The detector of this name, looked up once."""
        if name not in self._made:
            self._made[name] = registry.load("detector", name)
        return self._made[name]
