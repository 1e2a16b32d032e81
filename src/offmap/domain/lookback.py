"""Back to the finished tasks: where a sample of their materials lay, and what to expect of each.

The same for the tasks of a study and for the groups that a rehearsal leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offmap.domain.calibration import FALSE_ALARMS, standing
from offmap.domain.chemistry import context_of
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.error_model import ErrorModel, Examples
from offmap.domain.judge import Context, Judged, Predictions, judge
from offmap.domain.scoring import Common, Materials, TaskScores, score_task
from offmap.domain.substitution import Compositions

Array = NDArray[np.float64]

ROWS = 300
"""Test and calibration rows per task: enough for its distribution, in minutes at most."""

ASKED = (*DETECTORS, *SIGNALS)
"""Detectors and signals that are asked."""


def common_names(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Detectors, signals and comparisons that all tasks have."""
    return min((one.features.names for one in judged), key=len)


def look_at(
    materials: Materials, model: Predictions, tasks: Sequence[int], jobs: int
) -> Iterator[Judged]:
    """Score a sample of the test and calibration rows of each task, numbered as the materials."""
    from threadpoolctl import threadpool_limits

    common = Common.of(materials, jobs)

    def work(task: int) -> Judged:
        return _judge_sample(materials, model, task, common)

    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(work, tasks)


def _judge_sample(materials: Materials, model: Predictions, task: int, common: Common) -> Judged:
    _, calibration, test = materials.rows(task)
    rng = np.random.default_rng((materials.seed, task))
    usable = np.flatnonzero(np.isfinite(model.y_pred[task]))
    some = test[rng.permutation(usable)[:ROWS]]
    known = calibration[np.isfinite(model.in_distribution[calibration])]
    held_out = rng.permutation(known if len(known) >= ROWS else calibration)[:ROWS]
    asked = np.sort(np.concatenate([some, held_out]))
    scores = score_task(materials, task, ASKED, common, asked)
    mine = replace(model, y_pred={task: among(materials, model, scores)})
    return judge(scores, materials.y, mine)


def about(
    made_of: Compositions,
    materials: Materials,
    model: Predictions,
    one: Judged,
    chemical: bool = True,
) -> Context:
    """What the scored rows of a task are made of; ``chemical`` if it leaves elements out."""
    test, y_pred = materials.test[:, one.scores.task], among(materials, model, one.scores)
    return context_of(made_of, test, one.scores, y_pred, model.in_distribution, chemical)


def among(materials: Materials, model: Predictions, scores: TaskScores) -> Array:
    """The model's predictions of the scored test rows, of all test rows of the task."""
    rows = materials.rows(scores.task)[2]
    return model.y_pred[scores.task][np.searchsorted(rows, scores.test)]


def forecast_each(
    judged: Sequence[Judged],
    names: tuple[str, ...],
    test: NDArray[np.bool_],
    seed: int,
    jobs: int,
    contexts: Sequence[Context],
) -> Iterator[tuple[Array, Array]]:
    """Expected error and standing of each task's rows, by a model without it and its materials."""
    from threadpoolctl import threadpool_limits

    features = [one.features.columns(names) for one in judged]
    everything = Examples(
        np.concatenate([f.test for f in features]),
        np.concatenate([np.asarray(one.error) for one in judged]),
        np.concatenate([np.full(len(one.scores.test), one.scores.task) for one in judged]),
        np.concatenate([one.scores.test for one in judged]),
        np.concatenate([one.test for one in contexts]),
    )

    def work(i: int) -> tuple[Array, Array]:
        task = judged[i].scores.task
        others = (everything.task != task) & ~test[everything.material, task]
        model = ErrorModel(seed).fit(everything.take(others))
        mine = model.predict(features[i].test, contexts[i].test)
        held_out = model.predict(features[i].calibration, contexts[i].calibration)
        return mine, standing(mine, held_out, FALSE_ALARMS)

    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(work, range(len(judged)))
