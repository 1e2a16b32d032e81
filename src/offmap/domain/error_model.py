"""How large an error do these scores mean? Learned over the finished tasks of a study.

Every finished task says, for each of its test materials, how far out each detector placed it and
how wrong the model was. Trees that may only rise with each score turn that into an expected error.
They are judged leave-task-out: the rows of a task, and every other row of a material in its test
set, are left out when the error of that task is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.errors import DataError

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

# Rows per task that the error model is fitted on: large tasks would otherwise be all it sees.
_PER_TASK = 200
_TREES, _LEAVES = 150, 12
# Finished tasks below which nothing can be learned.
FEWEST_TASKS = 8


@dataclass(frozen=True, eq=False)
class Examples:
    """Materials of finished tasks, how far out they lay, and how wrong the model was.

    Parameters
    ----------
    features
        Standing under each detector and signal, shape (n, n_features).
    error
        Absolute errors, shape (n,).
    task, material
        Codes of the task and of the material, shape (n,).
    context
        Other numbers, with which errors may rise or fall, shape (n, n_numbers).
    """

    features: Array
    error: Array
    task: Rows
    material: Rows
    context: Array | None = None

    def __len__(self) -> int:
        return len(self.error)

    def take(self, rows: NDArray[Any]) -> Examples:
        """Some of the rows."""
        context = None if self.context is None else self.context[rows]
        return Examples(
            self.features[rows], self.error[rows], self.task[rows], self.material[rows], context
        )

    def thinned(self, per_task: int = _PER_TASK, seed: int = 0) -> Examples:
        """At most ``per_task`` rows of each task, drawn at random."""
        order = np.random.default_rng(seed).permutation(len(self))
        task = self.task[order]
        by_task = np.argsort(task, kind="stable")
        starts = np.searchsorted(task[by_task], task[by_task], side="left")
        keep = np.arange(len(self)) - starts < per_task
        return self.take(np.sort(order[by_task[keep]]))


class ErrorModel:
    """Expected absolute error from the standing under each detector.

    Parameters
    ----------
    seed
        Seed of the trees.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, examples: Examples) -> ErrorModel:
        """Learn from finished tasks, each counting the same.

        Raises
        ------
        DataError
            If there are too few tasks to learn from.
        """
        import lightgbm

        n_tasks = len(np.unique(examples.task))
        if n_tasks < FEWEST_TASKS:
            raise DataError(
                f"an error model needs at least {FEWEST_TASKS} finished tasks, not {n_tasks}"
            )
        self.unit = max(float(np.median(examples.error)), np.finfo(float).tiny)
        table = _beside(examples.features, examples.context)
        _, code, count = np.unique(examples.task, return_inverse=True, return_counts=True)
        settings = {
            # A Gamma-like loss: relative errors count, and the mean is what is predicted.
            "objective": "tweedie", "tweedie_variance_power": 1.6, "num_leaves": _LEAVES,
            "learning_rate": 0.05, "min_data_in_leaf": 60, "lambda_l2": 5.0, "max_bin": 63,
            "feature_fraction": 0.6, "bagging_fraction": 0.7, "bagging_freq": 1,
            "monotone_constraints": [1] * examples.features.shape[1]
            + [0] * (table.shape[1] - examples.features.shape[1]),
            "monotone_constraints_method": "basic",
            "num_threads": 1, "seed": self.seed, "deterministic": True, "force_row_wise": True,
            "verbosity": -1,
        }  # fmt: skip
        data = lightgbm.Dataset(table, examples.error / self.unit, weight=1 / count[code] ** 0.5)
        self.booster: Any = lightgbm.train(settings, data, _TREES)
        return self

    def predict(self, features: Array, context: Array | None = None) -> Array:
        """Expected absolute error, shape (n,)."""
        table = _beside(features, context)
        expected: Array = self.unit * np.asarray(self.booster.predict(table, num_threads=1))
        return expected


def _beside(features: Array, context: Array | None) -> Array:
    return features if context is None else np.hstack([features, context])


def leave_task_out(
    examples: Examples, tasks: Sequence[int], seed: int = 0
) -> Iterator[tuple[int, ErrorModel]]:
    """An error model for each task that knows neither the task nor its materials.

    Yields
    ------
    task, model
        ``model`` was fitted on rows of other tasks, without any material of this task's test set.
    """
    thin = examples.thinned(seed=seed)
    for task in tasks:
        mine = np.unique(examples.material[examples.task == task])
        others = (thin.task != task) & ~np.isin(thin.material, mine)
        yield task, ErrorModel(seed).fit(thin.take(others))
